"""What a contract as a whole agrees: on its spending, and off its invoices."""
