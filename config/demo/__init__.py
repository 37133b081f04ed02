"""The demo: a year of a plausible AI company, told through the same services that users go through."""
