"""Pages of plans beyond the forms: publish, compare, import and export."""
