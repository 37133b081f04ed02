"""Recurring fees as stretches of equal terms, and what the options of a change make of the cycle it falls into (R4.4).

A cycle that is paid in full, or whose unused time is not credited, is a stretch of its own: its terms say so. The same
bill follows whether a change was known before the cycle was billed or after. Pure: no Django, no clock.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from billing.catalog.changes.options import DEFAULT, Options, Unused
from billing.invoicing.calendars import calendar_of, proration_of, share_in
from billing.invoicing.terms import ChargeTerms, ContractTerms, StreamKey
from billing.periods import Period

PAID_UNTIL: Final = "paid_until"
"""In terms: the end of the time that a stretch is paid for, beyond its own, and that is not credited."""
IN_FULL: Final = "in_full"
"""In terms: the start of a stretch that costs as much as a whole period."""
TICK: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Fee:
    """A recurring fee that is wanted over `period`; two stretches of equal `terms` are one."""

    stream: StreamKey
    period: Period
    terms: dict[str, Any]
    charge: ChargeTerms
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class Stretch:
    """A fee between two changes of its terms: how it began, and what becomes of time paid beyond its end."""

    fee: Fee
    begun: Options
    unused: Unused


def add(found: list[Stretch], stretch: Stretch) -> None:
    """Append a stretch; it continues the one before where nothing about the fee changes, whatever the options say."""
    before = found[-1] if found else None
    if before is None or before.fee.terms != stretch.fee.terms or before.fee.period.end != stretch.fee.period.start:
        found.append(stretch)
    elif before.fee.charge.calendar == stretch.fee.charge.calendar:
        period = Period(before.fee.period.start, stretch.fee.period.end)
        found[-1] = Stretch(replace(stretch.fee, period=period), before.begun, stretch.unused)
    else:  # only its cycles move: what is covered stays, and nothing is billed again
        found[-1] = replace(before, unused="credit")
        found.append(replace(stretch, begun=DEFAULT))


def agreed(contract: ContractTerms, stretch: Stretch) -> Iterator[Fee]:
    """The fees of a stretch: its first and last cycle apart where the change that cuts them says so."""
    fee, calendar = stretch.fee, calendar_of(contract, stretch.fee.charge)
    start, end = fee.period.start, fee.period.end
    cuts: set[datetime] = set()
    full = paid = None
    if stretch.begun.fees != "prorated":
        first = calendar.cycle_at(start).full
        if first.start < start and stretch.begun.fees == "next_period":
            start = first.until
        elif first.start < start:
            full = Period(start, first.until)
            cuts.add(full.until)
    if end is not None and start < end and stretch.unused == "none" and fee.charge.in_advance:
        last = calendar.cycle_at(end - TICK).period.intersect(contract.term)
        if last is not None and last.until > end:
            paid = Period(max(start, last.start), last.until)
            cuts.add(paid.start)
    if end is not None and start >= end:
        return
    inner = sorted(cut for cut in cuts if start < cut and (end is None or cut < end))
    bounds = [start, *inner]
    for begin, until in zip(bounds, [*inner, end], strict=True):
        said = {IN_FULL: full.start.isoformat()} if full and full.contains(begin) else {}
        if paid and begin >= paid.start and until == end:
            said[PAID_UNTIL] = paid.until.isoformat()
        yield replace(fee, period=Period(begin, until), terms=fee.terms | said)


def share_of(contract: ContractTerms, fee: Fee, part: Period, full: Period) -> Fraction:
    """The share of a full period that a part of it costs, with what it is paid for beyond its end (R4.3, R4.4)."""
    calendar, proration = calendar_of(contract, fee.charge), proration_of(contract, fee.charge)
    if PAID_UNTIL in fee.terms and part.end == fee.period.end:
        part = Period(part.start, datetime.fromisoformat(fee.terms[PAID_UNTIL]))
    share = share_in(calendar, part, full, proration)
    if IN_FULL not in fee.terms:
        return share
    whole = Period(datetime.fromisoformat(fee.terms[IN_FULL]), full.until)
    return share / (calendar.share(whole, full, proration) or 1)  # hours of a day weigh nothing by day


def without_paid(terms: dict[str, Any]) -> dict[str, Any]:
    """The terms of a fee that is paid for no longer than it is used."""
    return {name: value for name, value in terms.items() if name != PAID_UNTIL}
