"""Moving subscribers to another plan version: who, when, with which effect."""
