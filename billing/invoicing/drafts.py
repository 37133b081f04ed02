"""Drafts are the current delta, recomputed in place: a chunk of contracts in a constant number of queries."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Context, Decimal
from typing import Any

from django.db.models import QuerySet

from billing.invoicing.engine import ENGINE, Delta
from billing.invoicing.fees import FeeLine
from billing.invoicing.models import BillingRun, Invoice, InvoiceLine, Slot, Stream
from billing.invoicing.slots import SlotLine
from billing.invoicing.states import InvoiceState
from billing.invoicing.terms import WHOLE, StreamKey
from billing.periods import Period
from customers.models import Contract

SlotRow = tuple[int, str, Period, str]
"""Stream id, kind, cycle and what agreement on spending it is about."""

PRINTED = Decimal("1e-12")  # what the column keeps: a finer quantity would never equal what was read back
EXACT_ENOUGH = Context(prec=60)

# Two drafts are equal when these are: everything of a line but its identity, its place and who computed it.
COMPARED = [
    "stream_id", "kind", "charge_id", "corrects_id", "description", "service_start", "service_end", "terms", "fraction",
    "quantity", "unit", "steps", "slot_id", "billed_before", "desired", "amount",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Drafted:
    """What became of a contract's draft; `changed` is False when it stood so already."""

    invoice: Invoice | None
    changed: bool


def ensure_streams(keys: Iterable[tuple[int, StreamKey]]) -> dict[StreamKey, int]:
    """The stream row of each (contract, (subscription, charge code)), made where absent; three queries at most."""
    wanted = {key: contract_id for contract_id, key in sorted(keys)}  # in order: two writers then do not deadlock
    if not wanted:
        return {}
    rows = Stream.objects.filter(contract_id__in=set(wanted.values())).values_list(
        "subscription_id", "charge_code_id", "id"
    )
    there = {(subscription, code or WHOLE): id_ for subscription, code, id_ in rows}
    missing = [(key, contract_id) for key, contract_id in wanted.items() if key not in there]
    if not missing:
        return there
    Stream.objects.bulk_create(
        [
            Stream(contract_id=contract, subscription_id=key[0], charge_code_id=key[1] or None)
            for key, contract in missing
        ],
        ignore_conflicts=True,  # another writer may have been faster
    )
    return {(subscription, code or WHOLE): id_ for subscription, code, id_ in rows.all()}


def ensure_slots(rows: Iterable[SlotRow]) -> dict[SlotRow, int]:
    """The slot of each (stream id, kind, cycle, agreement), made where absent; three queries at most."""
    wanted = dict.fromkeys(sorted(rows, key=lambda each: (each[0], each[1], each[2].start, each[2].until, each[3])))
    if not wanted:
        return {}
    known = Slot.objects.filter(stream_id__in={stream for stream, *_ in wanted}, cycle_start__isnull=False)
    there = _slot_ids(known)
    missing = [row for row in wanted if row not in there]
    if not missing:
        return there
    Slot.objects.bulk_create(
        [Slot(stream_id=stream, kind=kind, cycle_start=cycle.start, cycle_end=cycle.end,
              dimensions=Slot.dimensions_about(about))
         for stream, kind, cycle, about in missing],
        ignore_conflicts=True,  # another writer may have been faster
    )  # fmt: skip
    return _slot_ids(known.all())


def _slot_ids(slots: QuerySet[Slot]) -> dict[SlotRow, int]:
    rows = slots.values_list("stream_id", "kind", "cycle_start", "cycle_end", "dimensions__spend", "id")
    return {
        (stream, kind, Period(start, end), about or ""): id_ for stream, kind, start, end, about, id_ in rows if start
    }


def write_drafts(
    deltas: Sequence[Delta], *, as_of: dict[int, date], run: BillingRun | None, known: int, now: datetime
) -> dict[int, Drafted]:
    """Bring each contract's one open draft to its delta; by contract id.

    The caller holds the customers' locks, and drew the number `known` under them. A draft without lines is deleted; of
    one that is equal already only what is known of it changes.
    """
    drafts = {draft.contract_id: draft for draft in _open_drafts([delta.contract.id for delta in deltas])}
    lines = _lines_of(deltas)
    result: dict[int, Drafted] = {}
    stale: list[int] = []
    equal: list[int] = []
    empty: list[int] = []
    fresh: list[tuple[Invoice, list[InvoiceLine]]] = []
    for delta in deltas:
        key, draft = delta.contract.id, drafts.get(delta.contract.id)
        if not lines[key]:
            if draft:
                empty.append(draft.id)
            result[key] = Drafted(None, changed=draft is not None)
        elif draft and _content(draft.lines.all()) == _content(lines[key]):
            equal.append(draft.id)
            result[key] = Drafted(draft, changed=False)
        else:
            if draft:
                stale.append(draft.id)
            invoice = draft or _new_draft(delta.contract, now)
            _total(invoice, lines[key], as_of[key], run, now)
            invoice.known = known
            fresh.append((invoice, lines[key]))
            result[key] = Drafted(invoice, changed=True)
    InvoiceLine.objects.filter(invoice_id__in=[*stale, *empty]).delete()
    Invoice.objects.filter(id__in=empty).delete()
    Invoice.objects.filter(id__in=equal).update(known=known)
    _save(fresh)
    return result


def _open_drafts(contract_ids: Sequence[int]) -> Iterable[Invoice]:
    drafts = Invoice.objects.filter(contract_id__in=contract_ids, state=InvoiceState.DRAFT)
    return drafts.prefetch_related("lines")


def _new_draft(contract: Contract, now: datetime) -> Invoice:
    return Invoice(
        customer_id=contract.customer_id, contract=contract, entity_id=contract.entity_id,
        currency=contract.currency, created_at=now,
    )  # fmt: skip


def _total(invoice: Invoice, lines: list[InvoiceLine], as_of: date, run: BillingRun | None, now: datetime) -> None:
    invoice.net = sum((line.amount for line in lines), Decimal(0))
    invoice.total = invoice.net + invoice.tax
    invoice.as_of, invoice.run, invoice.updated_at = as_of, run, now


def _save(fresh: list[tuple[Invoice, list[InvoiceLine]]]) -> None:
    new = [invoice for invoice, _ in fresh if invoice.pk is None]
    old = [invoice for invoice, _ in fresh if invoice.pk is not None]
    Invoice.objects.bulk_create(new)
    Invoice.objects.bulk_update(old, ["net", "total", "as_of", "run", "known", "updated_at"])
    for invoice, lines in fresh:
        for position, line in enumerate(lines, 1):
            line.invoice, line.position = invoice, position
    InvoiceLine.objects.bulk_create([line for _, lines in fresh for line in lines])


def _content(lines: Iterable[InvoiceLine]) -> list[tuple[Any, ...]]:
    return [tuple(getattr(line, name) for name in COMPARED) for line in lines]


def _lines_of(deltas: Sequence[Delta]) -> dict[int, list[InvoiceLine]]:
    """The unsaved lines of each contract, in the order in which they are printed."""
    streams = ensure_streams((delta.contract.id, line.stream) for delta in deltas for line in delta.lines)
    slots = ensure_slots(
        (streams[line.stream], line.kind, line.cycle, line.about) for delta in deltas for line in delta.slots
    )
    found = {}
    for delta in deltas:
        found[delta.contract.id] = [
            _fee_line(line, streams) if isinstance(line, FeeLine) else _slot_line(line, streams, slots)
            for line in sorted(delta.lines, key=_printed_order)
        ]
    return found


def _printed_order(line: FeeLine | SlotLine) -> tuple[Any, ...]:
    """By subscription, then what the period brings, then corrections; by position, then time; minimums after usage."""
    minimum = isinstance(line, SlotLine) and line.kind != "usage"
    return line.stream[0], line.corrects is not None, line.position, line.service.start, line.stream[1], minimum


def _fee_line(line: FeeLine, streams: dict[StreamKey, int]) -> InvoiceLine:
    return InvoiceLine(
        stream_id=streams[line.stream], kind=InvoiceLine.Kind.RECURRING, charge_id=line.charge_id,
        corrects_id=line.corrects, description=line.name, service_start=line.service.start,
        service_end=line.service.until, terms=line.terms, fraction=str(line.fraction), quantity=line.quantity,
        unit=line.unit, steps=line.steps, engine=ENGINE, amount=line.amount,
    )  # fmt: skip


def _slot_line(line: SlotLine, streams: dict[StreamKey, int], slots: dict[SlotRow, int]) -> InvoiceLine:
    stream = streams[line.stream]
    quantity = None if line.quantity is None else line.quantity.quantize(PRINTED, context=EXACT_ENOUGH)
    return InvoiceLine(
        stream_id=stream, kind=line.kind, charge_id=line.charge_id, corrects_id=line.corrects,
        description=line.name, service_start=line.service.start, service_end=line.service.until,
        quantity=quantity, unit=line.unit, steps=line.steps, engine=ENGINE,
        slot_id=slots[stream, line.kind, line.cycle, line.about], billed_before=line.billed_before,
        desired=line.desired, amount=line.amount,
    )  # fmt: skip
