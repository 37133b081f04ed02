"""What the page of an invoice says of voiding."""

from typing import Any

from billing.invoicing.models import Invoice
from billing.invoicing.states import InvoiceState
from billing.invoicing.voiding.models import Waiver
from customers.backoffice import link_to


def voided_on(invoice: Invoice) -> dict[str, Any] | None:
    """What an invoice reverses, or by what it was voided, with the reason; None for all others, without a query."""
    if invoice.reverses is not None:
        return {"what": "Reverses", "link": link_to(invoice.reverses), "reason": invoice.reversal_reason, "waived": ""}
    if invoice.state != InvoiceState.VOID:
        return None
    reversal = Invoice.objects.get(reverses=invoice)
    waiver = Waiver.objects.filter(line__invoice=invoice, superseded_at=None).first()
    return {
        "what": "Voided by", "link": link_to(reversal), "reason": reversal.reversal_reason,
        "waived": "Its lines are not billed again." if waiver else "Its lines are billed again.",
    }  # fmt: skip
