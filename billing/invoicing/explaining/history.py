"""What was billed, credited and adjusted of the same thing as a line: before it, and after it."""

from collections.abc import Iterable, Sequence
from decimal import Decimal

from django.db.models import Q

from billing.invoicing.explaining.values import Billed
from billing.invoicing.models import InvoiceLine


def billed_with(lines: Sequence[InvoiceLine]) -> dict[int, tuple[Billed, ...]]:
    """Every line of the same slot, what a line corrects, and what corrects it, in the order of making. Two queries.

    Drafts are among them. A line that stands alone has only itself.
    """
    ids = {line.corrects_id or line.pk for line in lines} | {line.pk for line in lines}
    slots = {line.slot_id for line in lines if line.slot_id}
    ids |= set(InvoiceLine.objects.filter(slot__in=slots).order_by().values_list("pk", flat=True))
    related = InvoiceLine.objects.filter(Q(pk__in=ids) | Q(corrects__in=ids))  # each by an index of its own
    rows = sorted(related.select_related("invoice", "corrects").order_by(), key=lambda row: row.pk)
    return {line.pk: tuple(_family(line, rows)) for line in lines}


def _family(line: InvoiceLine, rows: Iterable[InvoiceLine]) -> Iterable[Billed]:
    stands, after = Decimal(0), False
    for row in rows:
        if _concerns(row, line):
            stands += row.amount
            this = row.pk == line.pk
            yield Billed(
                row, "this" if this else "after" if after else "before", stands,
                row.invoice.customer_id == line.invoice.customer_id,
            )  # fmt: skip
            after = after or this


def _concerns(row: InvoiceLine, line: InvoiceLine) -> bool:
    """Whether a row is about the same thing as a line."""
    if row.pk in (line.pk, line.corrects_id):
        return True
    if line.slot_id and (row.slot_id == line.slot_id or (row.corrects and row.corrects.slot_id == line.slot_id)):
        return True
    return row.corrects_id is not None and row.corrects_id in (line.pk, line.corrects_id)
