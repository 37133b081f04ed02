"""The price lab: what other terms would have billed for real usage."""
