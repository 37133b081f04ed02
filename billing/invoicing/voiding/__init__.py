"""Voiding: an issued invoice is reversed to nothing; its lines are wanted again, unless they are waived."""
