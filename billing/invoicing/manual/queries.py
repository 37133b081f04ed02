"""Reads of what was added to drafts by hand."""

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal

from django.db.models import CharField, Exists, OuterRef, Q
from django.db.models.functions import Cast, Coalesce, JSONObject

from billing.invoicing.manual.models import InvoiceNote, ManualLine
from billing.invoicing.manual.rules import LineName, Manual
from billing.invoicing.manual.states import ManualKind
from billing.invoicing.models import Invoice, InvoiceLine, Stream
from billing.invoicing.slots import MANUAL
from billing.invoicing.states import RECORDED, InvoiceState
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


def lines_on(invoice: Invoice) -> list[tuple[ManualLine, Decimal | None]]:
    """What was added by hand to a document, with what it bills there; on a draft also what waits. Two queries."""
    amounts: dict[int, Decimal] = defaultdict(Decimal)
    rows = invoice.lines.filter(kind=InvoiceLine.Kind.ONE_OFF, slot__dimensions__has_key=MANUAL)
    for about, amount in rows.values_list("slot__dimensions", "amount"):
        amounts[int(about[MANUAL])] += amount
    said = Q(pk__in=amounts) | Q(first__in=amounts)
    if invoice.state == InvoiceState.DRAFT:
        streams = Stream.objects.filter(lines__invoice=invoice)
        key = Cast(Coalesce(OuterRef("first"), OuterRef("pk")), CharField())
        billed = InvoiceLine.objects.filter(
            kind=InvoiceLine.Kind.ONE_OFF, stream__contract=OuterRef("contract"), revision__isnull=False,
            slot__dimensions__contains=JSONObject(manual=key),
        )  # fmt: skip
        said |= Q(~Exists(billed), contract__in=streams.values("contract"))
    found = ManualLine.objects.filter(said, superseded_at=None).select_related("contract", "recorded_by")
    return [(line, amounts.get(line.identity)) for line in found.order_by("pk")]


def billed_on(line: ManualLine) -> Invoice | None:
    """The last approved or issued invoice that bills it; one query."""
    found = InvoiceLine.objects.filter(
        stream__contract=line.contract_id, slot__dimensions={MANUAL: str(line.identity)}, invoice__state__in=RECORDED
    )
    last = found.select_related("invoice").order_by("-revision").first()
    return last.invoice if last else None


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
