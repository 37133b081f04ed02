"""Scenario files: customers, contracts, plans and events, a clock that advances, and what is expected of it all."""
