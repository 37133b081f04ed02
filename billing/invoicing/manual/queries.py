"""Reads of what was added to drafts by hand."""

from collections import defaultdict
from collections.abc import Sequence

from django.db.models import Q

from billing.invoicing.manual.models import InvoiceNote, ManualLine
from billing.invoicing.manual.rules import LineName, Manual
from billing.invoicing.manual.states import ManualKind
from billing.invoicing.models import Invoice
from billing.invoicing.states import InvoiceState
from billing.periods import Period
from customers.knowledge import in_force


def manual_of(contract_ids: Sequence[int]) -> dict[int, list[Manual]]:
    """What stands added to each contract's drafts, billed or not, as it is known; one query, two as known earlier."""
    rows = ManualLine.objects.filter(contract__among=contract_ids).select_related("of_stream")
    found: dict[int, list[Manual]] = defaultdict(list)
    for row in in_force(rows, "superseded_at"):
        found[row.contract_id].append(as_terms(row))
    return found


def as_terms(row: ManualLine) -> Manual:
    """A row as the rules know it."""
    of = LineName(row.of_stream.key, row.of_kind, row.of_start) if row.of_stream and row.of_start else None
    return Manual(
        key=row.identity, off=row.kind == ManualKind.DISCOUNT, text=row.text, due_on=row.due_on,
        period=Period(row.start, row.end), quantity=row.quantity, unit=row.unit, unit_price=row.unit_price,
        amount=row.amount, percentage=row.percentage, of=of,
    )  # fmt: skip


def notes_on(invoice: Invoice) -> list[InvoiceNote]:
    """The notes of a draft at its place, or of an invoice, in the order in which they were made; one query."""
    whose = at_place(invoice) if invoice.state == InvoiceState.DRAFT else Q(invoice=invoice)
    found = InvoiceNote.objects.filter(whose, taken_back_at=None)
    return list(found.select_related("recorded_by").order_by("pk"))


def printed_notes(invoice: Invoice) -> list[str]:
    """The notes that stand on its document."""
    return [note.text for note in notes_on(invoice) if note.printed]


def at_place(invoice: Invoice) -> Q:
    """The notes that wait at a draft's place."""
    return Q(
        customer=invoice.customer_id, entity=invoice.entity_id, currency=invoice.currency, group=invoice.group,
        apart=invoice.apart, invoice=None,
    )  # fmt: skip

