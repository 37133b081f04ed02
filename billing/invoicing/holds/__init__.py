"""Holds: a customer whose run fails a check waits, with the reason and a way out."""
