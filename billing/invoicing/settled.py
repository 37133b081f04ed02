"""What settled an invoice before its document was drawn: the customer's balance (R5.6)."""

from decimal import Decimal

from django.db.models import Sum

from billing.invoicing.models import Invoice


def used_at_issue(invoice: Invoice) -> Decimal:
    """What the customer's balance settled in the moment of issue, in the invoice's currency; 0 for a draft or a note.

    What settles it later is no part of its document, which is drawn once and never changes.
    """
    if invoice.issued_at is None or invoice.kind != Invoice.Kind.INVOICE:
        return Decimal(0)
    at_once = invoice.balance_entries.filter(recorded_at=invoice.issued_at).order_by()
    used: Decimal | None = at_once.aggregate(sum=Sum("amount"))["sum"]
    return -used if used else Decimal(0)
