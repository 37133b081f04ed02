"""Changes of subscriptions and of own terms on their pages: what each does to the bill is shown before it is made."""
