"""The cycles of each charge after changes that moved them: by their option, or by another cadence (R4.4).

Pure: no Django, no clock.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from billing.catalog.changes.fold import Anchor
from billing.catalog.terms.values import ChargeTerms, Interval
from billing.cycles import BillingCalendar, Cadence


def moved(calendar: BillingCalendar, anchor: Anchor) -> BillingCalendar:
    """The calendar from a change on: counted from its day, or by the calendar (from the first, from Monday)."""
    if anchor.kind == "change":
        return restarted(calendar, anchor.at, str(calendar.cadence))
    if calendar.cadence.unit == "date":  # listed dates are where they are
        return calendar
    day = None if calendar.cadence.unit == "day" else 1
    return BillingCalendar(
        calendar.cadence, anchor.at, calendar.timezone, anchor_day=day,
        anchor_month=1 if calendar.cadence.months else None,
    )  # fmt: skip


def restarted(calendar: BillingCalendar, at: datetime, cadence: str) -> BillingCalendar:
    """Cycles of a cadence that begin anew at an instant, the first of them whole; listed dates stay where they are."""
    every = Cadence.parse(cadence)
    if every.unit == "date":
        return calendar
    return BillingCalendar(every, at, calendar.timezone, stub_divisor="from_start")


def with_calendars(bound: Sequence[Interval], calendar: BillingCalendar) -> list[Interval]:
    """The intervals of one subscription, in order; each charge with the calendar that changes gave it.

    An option moves those of all charges. Where it says nothing, a charge whose cadence changes begins anew.
    """
    if len(bound) < 2 and not any(each.anchor for each in bound):
        return list(bound)
    found: list[Interval] = []
    before: dict[int, tuple[str, BillingCalendar | None]] = {}
    end: datetime | None = None
    for interval in bound:
        base = moved(calendar, interval.anchor) if interval.anchor else None
        resets = interval.anchor is not None and interval.anchor.at == interval.period.start
        known = before if interval.period.start == end else {}
        before = {}
        charges: list[ChargeTerms] = []
        for charge in interval.charges:
            cadence = charge.cadence or str(calendar.cadence)
            was, own = known.get(charge.code_id, (cadence, base))
            if resets:
                own = base
            elif was != cadence:
                restarts = interval.begun.anchor == ""
                own = restarted(calendar, interval.period.start, cadence) if restarts else base
            before[charge.code_id] = cadence, own
            charges.append(charge if own is None else replace(charge, calendar=own))
        end = interval.period.end
        found.append(replace(interval, charges=tuple(charges)))
    return found
