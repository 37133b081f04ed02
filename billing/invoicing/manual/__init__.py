"""What people put on a draft by hand: lines, discounts and notes, kept as facts with who and why."""
