"""What engineers read by HTTP: usage, the fate of an event, and the description of the whole API."""
