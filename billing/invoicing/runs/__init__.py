"""Billing runs: contracts in chunks, each one transaction with what came of it."""
