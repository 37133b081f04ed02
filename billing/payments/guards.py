"""SQL that the triggers of payments, balances and write-offs share."""

from typing import Final

OPEN: Final = """
    bill.total - (SELECT coalesce(sum(amount), 0) FROM billing_allocation WHERE invoice_id = bill.id)
        + (SELECT coalesce(sum(amount), 0) FROM billing_balanceentry WHERE invoice_id = bill.id)
        - (SELECT coalesce(sum(amount), 0) FROM billing_writeoff WHERE invoice_id = bill.id AND state = 'booked')
"""
"""What the invoice `bill`, whose row is locked, has open; negative for a credit note that is not credited yet."""
