"""Many invoices moved in the background: approved, issued, sent, one after the other."""
