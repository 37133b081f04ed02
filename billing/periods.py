"""Half-open periods of time, local days, and the share of a period that a part of it makes.

Instants are aware and kept in UTC; a time zone is named only where days are counted. A period contains its start and
not its end. Pure: no Django, no clock.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from functools import cache
from typing import Self
from zoneinfo import ZoneInfo


class UnknownTimezone(ValueError):
    """A text that names no time zone of the IANA database; `name` is the text as given."""

    def __init__(self, name: object) -> None:
        self.name = name
        super().__init__(f"{name!r} is no time zone; write an IANA name, such as 'UTC' or 'Europe/Berlin'.")


@dataclass(frozen=True, slots=True)
class Period:
    """The instants from `start` to just before `end`; an `end` of None leaves it open.

    Any aware instants may be given and are kept in UTC. ValueError for a naive instant, or an end before the start.
    """

    start: datetime
    end: datetime | None

    def __post_init__(self) -> None:
        if self.start.tzinfo is not UTC:
            object.__setattr__(self, "start", as_utc(self.start))
        if self.end is not None:
            if self.end.tzinfo is not UTC:
                object.__setattr__(self, "end", as_utc(self.end))
            if self.end < self.start:
                raise ValueError(f"A period cannot end at {self.end.isoformat()}, before it starts at {self.start}.")

    @property
    def until(self) -> datetime:
        """The end of a period that has one; ValueError for an open one."""
        if self.end is None:
            raise ValueError(f"The period from {self.start.isoformat()} is open: it has no end.")
        return self.end

    @property
    def is_empty(self) -> bool:
        """Whether no instant lies in the period."""
        return self.end == self.start

    def contains(self, instant: datetime) -> bool:
        """Whether the instant lies in the period: at its start yes, at its end no."""
        return self.start <= as_utc(instant) and (self.end is None or instant < self.end)

    def intersect(self, other: Self) -> Self | None:
        """What both have in common; None when that is nothing, as for periods that only touch."""
        start = max(self.start, other.start)
        ends = [end for end in (self.end, other.end) if end is not None]
        end = min(ends) if ends else None
        return None if end is not None and end <= start else type(self)(start, end)

    def subtract(self, others: Iterable[Self]) -> list[Self]:
        """What no other period covers, in order and without empty pieces; the others may overlap in any order."""
        pieces: list[Self] = []
        start = self.start
        for other in sorted(others, key=lambda period: period.start):
            common = self.intersect(other)
            if common is None:
                continue
            if start < common.start:
                pieces.append(type(self)(start, common.start))
            if common.end is None:
                return pieces
            start = max(start, common.end)
        if self.end is None or start < self.end:
            pieces.append(type(self)(start, self.end))
        return pieces


def as_utc(instant: datetime) -> datetime:
    """The same instant in UTC; ValueError for a naive one, whose meaning would depend on the machine."""
    if instant.tzinfo is UTC:  # as nearly all are
        return instant
    if instant.tzinfo is None or instant.utcoffset() is None:
        raise ValueError(f"{instant.isoformat()} has no time zone; pass an aware instant.")
    return instant.astimezone(UTC)


@cache
def zone(timezone: str) -> ZoneInfo:
    """The zone of that IANA name; UnknownTimezone for any other text."""
    try:
        return ZoneInfo(timezone)
    except (KeyError, ValueError, TypeError, OSError):
        raise UnknownTimezone(timezone) from None


def local_date(instant: datetime, timezone: str) -> date:
    """The calendar day that the instant falls on in that zone."""
    return as_utc(instant).astimezone(zone(timezone)).date()


def local_midnight(day: date, timezone: str) -> datetime:
    """The first instant of a local day, in UTC. Where clocks skip midnight, that is the instant of the jump."""
    where = zone(timezone)
    midnight = datetime.combine(day, time(), where)
    instant = midnight.astimezone(UTC)
    if instant.astimezone(where).replace(tzinfo=None) == midnight.replace(tzinfo=None):
        return instant
    early, late = midnight.replace(fold=1).astimezone(UTC), instant  # the jump lies after `early`, not after `late`
    while late - early > timedelta(seconds=1):
        middle = early + timedelta(seconds=(late - early) // timedelta(seconds=2))
        early, late = (early, middle) if middle.astimezone(where).date() >= day else (middle, late)
    return late


def share(
    part: Period,
    full: Period,
    proration: str,
    timezone: str,
    *,
    anchors: Mapping[date, int] | None = None,
    by_months: bool = True,
) -> Fraction:
    """The exact share of `full` that `part` makes (R4.3): 0 to 1, adding up to 1 over parts that tile `full`.

    `day` counts days of the calendar in `timezone`, so that the day of a change belongs to what follows it; `second`
    counts true seconds, whatever clocks do; `month30` counts months of 30 days (30E/360) when `full` is whole months,
    and days otherwise or when `by_months` is False (weeks, days). `anchors` gives the anchor day of days that are
    boundaries; other bounds of `full` count as the later of its two days. `none` is always 1. ValueError for another
    method, an open period, a `full` without length in what is counted, or a part that reaches beyond it.
    """
    if full.end is None or part.end is None:
        raise ValueError("An open period has no shares; give it an end first.")
    if part.start < full.start or part.end > full.end:
        raise ValueError(f"The part {part.start}..{part.end} reaches beyond the period {full.start}..{full.end}.")
    if proration == "none":
        return Fraction(1)
    if proration == "second":
        tick = timedelta(microseconds=1)
        return _ratio((part.end - part.start) // tick, (full.end - full.start) // tick, proration)
    if proration not in ("day", "month30"):
        raise ValueError(f"{proration!r} is no proration; use 'day', 'second', 'month30' or 'none'.")
    first, last, start, end = (local_date(at, timezone) for at in (full.start, full.end, part.start, part.end))
    if proration == "month30" and by_months and _whole_months(first, last):
        known = dict.fromkeys((first, last), max(first.day, last.day)) | dict(anchors or {})
        days30 = [_day30(day, known.get(day, day.day)) for day in (first, last, start, end)]
        return _ratio(days30[3] - days30[2], days30[1] - days30[0], proration)
    return _ratio((end - start).days, (last - first).days, proration)


def _ratio(part: int, full: int, proration: str) -> Fraction:
    """Part over full, where a full of nothing cannot be divided."""
    if full == 0:
        raise ValueError(f"A period without length cannot be prorated by {proration!r}.")
    return Fraction(part, full)


def _day30(day: date, day_of_month: int) -> int:
    """The number of a day in a calendar of months of 30 days, where day 31 counts as 30."""
    return (day.year * 12 + day.month) * 30 + min(day_of_month, 30)


def _whole_months(first: date, last: date) -> bool:
    """Whether two days lie whole months apart, either perhaps clamped to the end of a shorter month."""
    early, late = sorted((first, last), key=lambda day: day.day)
    clamped = (early + timedelta(days=1)).day == 1
    return (first.year, first.month) != (last.year, last.month) and (early.day == late.day or clamped)
