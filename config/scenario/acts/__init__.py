"""What steps do and ask, through the services that the back office uses."""
