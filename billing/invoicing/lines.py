"""Lines of invoices from deltas, with the streams and slots that they hang on: a constant number of queries."""

import json
from collections.abc import Iterable, Sequence
from decimal import Context, Decimal
from typing import Any

from django.db import connection
from django.db.models import QuerySet

from billing.invoicing.computations.models import Computation
from billing.invoicing.copying import unsaved
from billing.invoicing.engine import ENGINE, Delta
from billing.invoicing.fees import FeeLine
from billing.invoicing.models import InvoiceLine, Slot, Stream
from billing.invoicing.slots import CONCESSION, OFF, SlotLine
from billing.invoicing.terms import WHOLE, StreamKey, whole_of
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
    """By subscription, then what the period brings, then corrections; by position, then time; minimums after usage.

    What is agreed for the contract as a whole comes after its subscriptions, and what comes off after everything.
    """
    minimum = isinstance(line, SlotLine) and line.kind != "usage"
    off = line.about if isinstance(line, SlotLine) and line.kind in OFF else ""
    return (
        off != "",
        off,
        line.stream[0] < 0,
        line.stream[0],
        line.corrects is not None,
        line.position,
        line.service.start,
        line.stream[1],
        minimum,
    )


def _fee_line(line: FeeLine, streams: dict[StreamKey, int]) -> InvoiceLine:
    return unsaved(
        InvoiceLine,
        stream_id=streams[line.stream], kind=InvoiceLine.Kind.RECURRING, charge_id=line.charge_id,
        corrects_id=line.corrects, description=line.name, service_start=line.service.start,
        service_end=line.service.until, terms=line.terms, fraction=str(line.fraction), quantity=line.quantity,
        unit=line.unit, steps=line.steps, engine=ENGINE, amount=line.amount, tax_included=line.tax_included,
    )  # fmt: skip


def _slot_line(line: SlotLine, streams: dict[StreamKey, int], slots: dict[SlotRow, int]) -> InvoiceLine:
    stream = streams[line.stream]
    quantity = None if line.quantity is None else line.quantity.quantize(PRINTED, context=EXACT_ENOUGH)
    return unsaved(
        InvoiceLine,
        stream_id=stream, kind=line.kind, charge_id=line.charge_id, corrects_id=line.corrects,
        description=line.name, service_start=line.service.start, service_end=line.service.until,
        quantity=quantity, unit=line.unit, steps=line.steps, engine=ENGINE,
        slot_id=slots[stream, line.kind, line.cycle, line.about], billed_before=line.billed_before,
        desired=line.desired, amount=line.amount, tax_included=line.tax_included, terms=_conceded(line),
    )  # fmt: skip


def _conceded(line: SlotLine) -> dict[str, Any] | None:
    """Of a credit that was conceded, which: it goes on a document of its own."""
    if line.kind != "one_off" or not line.about.startswith(f"{CONCESSION} "):
        return None
    return {CONCESSION: line.about.removeprefix(f"{CONCESSION} ")}


def ensure_streams(keys: Iterable[tuple[int, StreamKey]]) -> dict[StreamKey, int]:
    """The stream row of each (contract, (subscription, charge code)), made where absent; three queries at most."""
    wanted = {key: contract_id for contract_id, key in sorted(keys)}  # in order: two writers then do not deadlock
    if not wanted:
        return {}
    rows = Stream.objects.filter(contract_id__among=set(wanted.values())).values_list(
        "contract_id", "subscription_id", "charge_code_id", "id"
    )
    there = _stream_ids(rows)
    missing = [(key, contract_id) for key, contract_id in wanted.items() if key not in there]
    if not missing:
        return there
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO billing_stream (contract_id, subscription_id, charge_code_id)
               SELECT contract, CASE WHEN subscription > 0 THEN subscription END, nullif(code, %s)
               FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[]) AS r(contract, subscription, code)
               ON CONFLICT DO NOTHING RETURNING contract_id, subscription_id, charge_code_id, id""",
            [
                WHOLE, _array(contract for _, contract in missing), _array(key[0] for key, _ in missing),
                _array(key[1] for key, _ in missing),
            ],
        )  # fmt: skip
        made = _stream_ids(cursor.fetchall())
    return there | made if len(made) == len(missing) else _stream_ids(rows.all())  # another was faster


def _stream_ids(rows: Iterable[tuple[int, int | None, int | None, int]]) -> dict[StreamKey, int]:
    return {(subscription or whole_of(contract), code or WHOLE): id_ for contract, subscription, code, id_ in rows}


def ensure_slots(rows: Iterable[SlotRow]) -> dict[SlotRow, int]:
    """The slot of each (stream id, kind, cycle, agreement), made where absent; three queries at most."""
    wanted = dict.fromkeys(sorted(rows, key=lambda each: (each[0], each[1], each[2].start, each[2].until, each[3])))
    if not wanted:
        return {}
    starts = [cycle.start for _, _, cycle, _ in wanted]
    known = Slot.objects.filter(
        stream_id__among={stream for stream, *_ in wanted}, cycle_start__gte=min(starts), cycle_start__lte=max(starts)
    )
    there = _slot_ids(known)
    missing = [row for row in wanted if row not in there]
    if not missing:
        return there
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO billing_slot (stream_id, kind, cycle_start, cycle_end, dimensions, occurrence)
               SELECT stream, kind, first, last, dimensions, ''
               FROM unnest(%s::bigint[], %s::text[], %s::timestamptz[], %s::timestamptz[], %s::jsonb[])
                    AS r(stream, kind, first, last, dimensions)
               ON CONFLICT DO NOTHING RETURNING id""",
            [
                _array(row[0] for row in missing), _array(row[1] for row in missing),
                _array(row[2].start.isoformat() for row in missing),
                _array(row[2].until.isoformat() for row in missing),
                [json.dumps(Slot.dimensions_about(row[1], row[3])) for row in missing],
            ],
        )  # fmt: skip
        made = [id_ for (id_,) in cursor.fetchall()]
    if len(made) == len(missing):  # rows come back in the order in which they went in
        return there | dict(zip(missing, made, strict=True))
    return _slot_ids(known.all())  # another was faster


def _array(values: Iterable[object]) -> str:
    """Numbers, words or instants as the text of an array."""
    return "{" + ",".join(map(str, values)) + "}"


def _slot_ids(slots: QuerySet[Slot]) -> dict[SlotRow, int]:
    rows = slots.values_list("stream_id", "kind", "cycle_start", "cycle_end", "dimensions", "id")
    return {
        (stream, kind, Period(start, end), Slot.about_of(dimensions)): id_
        for stream, kind, start, end, dimensions, id_ in rows if start
    }  # fmt: skip
