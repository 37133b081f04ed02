"""Lines of invoices from deltas, with the streams and slots that they hang on: a constant number of queries."""

from collections.abc import Iterable, Sequence
from decimal import Context, Decimal
from typing import Any

from django.db.models import QuerySet

from billing.invoicing.computations.models import Computation
from billing.invoicing.engine import ENGINE, Delta
from billing.invoicing.fees import FeeLine
from billing.invoicing.models import InvoiceLine, Slot, Stream
from billing.invoicing.slots import SlotLine
from billing.invoicing.terms import WHOLE, StreamKey
from billing.periods import Period

SlotRow = tuple[int, str, Period, str]
"""Stream id, kind, cycle and what agreement on spending it is about."""

PRINTED = Decimal("1e-12")  # what the column keeps: a finer quantity would never equal what was read back
EXACT_ENOUGH = Context(prec=60)


def lines_of(deltas: Sequence[Delta], computation: Computation) -> dict[int, list[InvoiceLine]]:
    """The unsaved lines of each contract, by its id, in the order in which they are printed."""
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
        for line in found[delta.contract.id]:
            line.known = computation.number
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
