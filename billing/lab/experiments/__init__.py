"""Experiments: a share of new contracts on each variant of a price."""
