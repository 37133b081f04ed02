"""How dates read in the back office: ISO 8601, the same for every reader and sortable by eye."""
