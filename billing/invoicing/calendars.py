"""The calendar of a charge, and the cycles of a stream whose charges may have had different ones.

Pure: no Django, no clock.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction
from functools import lru_cache

from billing.catalog.changes.options import DEFAULT, Options
from billing.cycles import BillingCalendar, Cadence, Cycle, DatesCalendar
from billing.invoicing.terms import ChargeTerms, ContractTerms
from billing.periods import Period


def calendar_of(contract: ContractTerms, charge: ChargeTerms) -> BillingCalendar:
    """The cycles of a charge: the contract's, or those that a change gave it (R4.4); in its own cadence (R4.1)."""
    calendar = charge.calendar or contract.calendar
    return in_cadence(calendar, charge.cadence) if charge.cadence else calendar


@lru_cache(maxsize=10_000)
def in_cadence(calendar: BillingCalendar, cadence: str) -> BillingCalendar:
    """The calendar with another cadence; a day of the month is no anchor for weeks, nor one of the week for months.

    Beside listed dates it counts from the contract's start.
    """
    wanted = Cadence.parse(cadence)
    if wanted == calendar.cadence:
        return calendar
    if isinstance(calendar, DatesCalendar):
        return BillingCalendar(wanted, calendar.start, calendar.timezone)
    kept = wanted.unit != "day" and (wanted.months > 0) == (calendar.cadence.months > 0)
    return replace(
        calendar, cadence=wanted, anchor_day=calendar.anchor_day if kept else None,
        anchor_month=calendar.anchor_month if wanted.months > 1 else None,
    )  # fmt: skip


def proration_of(contract: ContractTerms, charge: ChargeTerms) -> str:
    """How parts of the charge's cycles weigh: its own way, or the contract's (R4.3)."""
    return charge.proration or contract.proration


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a stream in which one charge is bound, and how the change took effect that began it."""

    period: Period
    charge: ChargeTerms
    begun: Options = DEFAULT


def stream_cycles(
    contract: ContractTerms, pieces: Sequence[Piece], kept: Sequence[Period], until: datetime, since: datetime | None
) -> Iterator[tuple[Piece, Period, Period]]:
    """Each piece with each cycle that starts before `until`, and its part of that; pieces come in order of time.

    Cycles in `kept`, which were billed, stay as they are. Between them each charge has those of its own calendar; where
    the cadence changes, one cycle ends and another begins. `since` leaves out cycles that ended at or before it.
    """
    for place, piece in enumerate(pieces):
        own = Period(*_reach(contract, pieces, place))
        seen = set()
        begin = max(piece.period.start, since) if since else piece.period.start
        for cycle in cycles_between(calendar_of(contract, piece.charge), until, begin):
            if piece.period.end is not None and cycle.period.start >= piece.period.end:
                break
            for each in _cut(cycle.period, own, kept):
                if each in seen or (since is not None and each.until <= since):
                    continue
                seen.add(each)  # one that was kept may touch several
                if part := _within(each, piece.period):
                    yield piece, each, part


def _within(cycle: Period, period: Period) -> Period | None:
    """What both have in common; the same cycle where that is all of it, as it mostly is."""
    whole = period.start <= cycle.start and (period.end is None or cycle.until <= period.end)
    return cycle if whole else cycle.intersect(period)


def _cut(cycle: Period, own: Period, kept: Sequence[Period]) -> list[Period]:
    """What becomes of a cycle: kept ones that it touches, as they are, and what lies between, as far as it is `own`."""
    if cycle in kept:
        return [cycle]
    touching = [each for each in kept if each.intersect(cycle)]
    gaps = cycle.subtract(touching) if touching else [cycle]
    return [*filter(None, (_within(gap, own) for gap in gaps)), *touching]


@lru_cache(maxsize=10_000)
def cycles_between(calendar: BillingCalendar, until: datetime, from_: datetime) -> tuple[Cycle, ...]:
    """`BillingCalendar.cycles`, counted once for all contracts that share a calendar."""
    return tuple(calendar.cycles(until, from_))


@lru_cache(maxsize=10_000)
def share_in(calendar: BillingCalendar, part: Period, full: Period, proration: str) -> Fraction:
    """`BillingCalendar.share`, computed once for all contracts that share a calendar."""
    return calendar.share(part, full, proration)


@lru_cache(maxsize=10_000)
def next_boundary(calendar: BillingCalendar, instant: datetime) -> datetime | None:
    """The end of the cycle that contains the instant, or of the first one; None after the last of listed dates."""
    return calendar.cycle_at(max(instant, calendar.start)).period.end


def _reach(contract: ContractTerms, pieces: Sequence[Piece], place: int) -> tuple[datetime, datetime | None]:
    """From when to when the cadence of a piece holds: changes of it cut cycles, other changes do not."""
    own = calendar_of(contract, pieces[place].charge)
    first, last = place, place + 1
    while first > 0 and calendar_of(contract, pieces[first - 1].charge) == own:
        first -= 1
    while last < len(pieces) and calendar_of(contract, pieces[last].charge) == own:
        last += 1
    return pieces[first].period.start if first else own.start, pieces[last].period.start if last < len(pieces) else None


@lru_cache(maxsize=10_000)
def full_of(calendar: BillingCalendar, cycle: Period) -> Period:
    """The whole aligned period that a cycle is a part of; the cycle itself where it was cut by another calendar."""
    full = calendar.cycle_at(max(cycle.start, calendar.start)).full
    return full if full.start <= cycle.start and cycle.until <= full.until else cycle
