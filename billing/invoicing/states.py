"""The states of an invoice and the moves between them: one table that the service, the buttons and the trigger read."""

from django.db.models import TextChoices


class InvoiceState(TextChoices):
    DRAFT = "draft", "Draft"
    APPROVED = "approved", "Approved"
    ISSUED = "issued", "Issued"
    SKIPPED = "skipped", "Not sent"
    VOID = "void", "Void"


INVOICE_MOVES: list[tuple[str, str]] = [
    (InvoiceState.DRAFT, InvoiceState.APPROVED),
    (InvoiceState.APPROVED, InvoiceState.DRAFT),
    (InvoiceState.APPROVED, InvoiceState.ISSUED),
    (InvoiceState.ISSUED, InvoiceState.VOID),  # with its reversal (voiding)
    (InvoiceState.APPROVED, InvoiceState.SKIPPED),  # zero, where the seller does not send such (R5.10)
]
# What stands on these is what "recorded" means in desired − recorded.
RECORDED: list[str] = [InvoiceState.APPROVED, InvoiceState.ISSUED, InvoiceState.SKIPPED, InvoiceState.VOID]
# What was sent to the customer under a number, and has a document.
NUMBERED: list[str] = [InvoiceState.ISSUED, InvoiceState.VOID]


def may_move(old: str, new: str) -> bool:
    """Whether an invoice may go from `old` to `new`."""
    return (old, new) in INVOICE_MOVES
