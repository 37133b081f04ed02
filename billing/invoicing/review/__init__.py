"""Review: what differs on drafts, what is unusual, who may approve, and which drafts approve themselves."""
