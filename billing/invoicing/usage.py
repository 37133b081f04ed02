"""Usage: which cycles are wanted, in parts of different terms, and which quantities to ask for.

Pure: no Django, no clock.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final, Literal

from billing.catalog.changes.options import DEFAULT, Options
from billing.invoicing.calendars import Piece, calendar_of, full_of, stream_cycles
from billing.invoicing.terms import ChargeTerms, ContractTerms, StreamKey
from billing.money import EXACT
from billing.periods import Period
from billing.pricing import Price
from billing.pricing.usages import Cells, Events, Need, Totals, Usage, needs

QUANTITY = Need("quantity")
_NEEDS: Final[dict[int, tuple[Price, Need]]] = {}
_MOST: Final = 2000
"""Prices whose need is kept."""
Kept = Mapping[StreamKey, Sequence[Period]]
"""The cycles of each stream that were billed; they are never cut again."""


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a cycle under one price: what a quantity is asked for; and how it began, if by a change."""

    period: Period
    charge: ChargeTerms
    begun: Options = DEFAULT


@dataclass(frozen=True, slots=True)
class Wanted:
    """The usage of a stream in a cycle, in parts of different terms; they are steps of one slot.

    `full` is the whole aligned period that the cycle is a part of. A cycle that is not `complete` runs on.
    """

    stream: StreamKey
    cycle: Period
    full: Period
    complete: bool
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of the usage store for a part of a slot; equal ones have the same answer."""

    customer_id: int
    meter_id: int
    period: Period
    full: Period
    timezone: str
    narrowed_by: str = ""
    need: Need = QUANTITY
    window: Literal["", "hour", "day"] = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the store says to a question: one usage; of a question by windows, one for each window that has any.

    `starts` are when those windows begin; `empty` windows have no usage. `quantity` is everything together, None where
    that has no meaning (R2.3).
    """

    usages: tuple[Usage, ...]
    quantity: Decimal | None
    starts: tuple[datetime, ...] = ()
    empty: int = 0


def wanted_usage(
    contract: ContractTerms,
    until: datetime,
    *,
    complete: bool = True,
    since: datetime | None = None,
    kept: Kept | None = None,
) -> list[Wanted]:
    """The cycles of each usage charge up to `until`: complete ones only, or the running one too, cut at `until`.

    `since` leaves out cycles that ended at or before it; those in `kept` stay as they were billed.
    """
    streams: dict[StreamKey, list[Piece]] = defaultdict(list)
    for each in contract.stretches(usage=True):
        streams[each.stream].append(Piece(each.period, each.charge, each.begun))
    past = Period(contract.term.start, until) if until > contract.term.start else None
    found: list[Wanted] = []
    for stream, pieces in streams.items():
        parts: dict[Period, list[Part]] = defaultdict(list)
        for piece, cycle, part in stream_cycles(contract, pieces, (kept or {}).get(stream, ()), until, since):
            cut = part if part.until <= until else part.intersect(past) if past else None
            if cut is not None and not (complete and contract.due(cycle) > until):
                begun = piece.begun if cut.start == piece.period.start else DEFAULT
                parts[cycle].append(Part(cut, piece.charge, begun))
        for cycle, several in parts.items():
            full = full_of(calendar_of(contract, several[-1].charge), cycle)
            found.append(Wanted(stream, cycle, full, contract.due(cycle) <= until, _joined(several)))
    return found


def _joined(parts: Sequence[Part]) -> tuple[Part, ...]:
    """Neighbours of equal price joined.

    A quantity that cannot be split keeps the cycle's first terms, unless each side is to weigh with its share (R4.5).
    """
    joined: list[Part] = []
    for part in sorted(parts, key=lambda each: each.period.start):
        before = joined[-1] if joined else None
        same = before and _counted_alike(before.charge, part.charge)
        whole = before and not part.charge.additive and before.charge.meter_id == part.charge.meter_id
        whole = whole and part.begun.gauges != "share"
        if before and (whole or (same and before.period.end == part.period.start)):
            period = Period(before.period.start, part.period.end)
            joined[-1] = Part(period, before.charge if whole else part.charge, before.begun)
        else:
            joined.append(part)
    return tuple(joined)


def _counted_alike(one: ChargeTerms, other: ChargeTerms) -> bool:
    """Whether usage under both is counted and priced as one."""
    return (one.price, one.meter_id, one.narrowed_by, one.window) == (
        other.price, other.meter_id, other.narrowed_by, other.window)  # fmt: skip


def need_of(charge: ChargeTerms) -> Need:
    """What the charge's price takes, found once a price: a matrix of a thousand cells looks at each of them."""
    known = _NEEDS.get(id(charge.price))
    if known is None or known[0] is not charge.price:
        known = charge.price, needs(charge.price)
        _NEEDS[id(charge.price)] = known
        while len(_NEEDS) > _MOST:
            _NEEDS.pop(next(iter(_NEEDS)), None)
    return known[1]


def both(one: Usage, other: Usage) -> Usage:
    """The usage of two stretches of time, one after the other."""
    match one, other:
        case Decimal(), Decimal():
            return EXACT.add(one, other)
        case Totals(), Totals():
            return Totals(EXACT.add(one.amount, other.amount), one.events + other.events)
        case Cells(), Cells():
            return Cells(one.dimensions, one.rows + other.rows)  # of equal values are added when they are rated
        case Events(), Events():
            return Events(one.rows + other.rows)
    raise ValueError("Usage of two kinds cannot be put together.")


def questions(contract: ContractTerms, wanted: Wanted) -> list[Question]:
    """What to ask for each part of a slot, in order."""
    found = []
    for part in wanted.parts:
        charge = part.charge
        assert charge.meter_id is not None  # usage has a meter
        found.append(Question(
            contract.customer_id, charge.meter_id, part.period, wanted.cycle, contract.calendar.timezone,
            charge.narrowed_by, need_of(charge), charge.window,
        ))  # fmt: skip
    return found
