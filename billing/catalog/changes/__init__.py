"""Changes of subscriptions as dated facts, and what follows from all of them (R4.4, R4.5)."""
