"""What could not be stored, kept for those who look into it: conflicts, rejections, and files of problems."""
