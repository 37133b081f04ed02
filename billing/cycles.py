"""Billing cycles: when the periods of a contract begin and end (R4.1).

Boundaries are local midnights in the contract's zone, computed from the anchor each time and never from one another,
so that they neither drift nor depend on where one starts to count. Pure: no Django, no clock.
"""

import re
from bisect import bisect_right
from calendar import monthrange
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from fractions import Fraction
from itertools import count, pairwise
from typing import Final, Literal, get_args

from billing.periods import Period, as_utc, local_date, local_midnight, share

Unit = Literal["day", "week", "month", "year", "date"]
StubDivisor = Literal["aligned", "from_start"]

LISTED: Final = "dates"
"""In place of an ISO 8601 cadence: the boundaries are listed, and follow no rule."""
_UNITS: Final[dict[str, Unit]] = {"D": "day", "W": "week", "M": "month", "Y": "year"}
_DURATION: Final = re.compile(r"P([1-9][0-9]{0,3})([DWMY])")


class InvalidCadence(ValueError):
    """A text that is no cadence; `text` is the text as given."""

    def __init__(self, text: object) -> None:
        self.text = text
        super().__init__(f"{text!r} is no cadence; write one like 'P1M', 'P3M', 'P1Y', 'P2W' or 'P10D'.")


class InvalidAnchor(ValueError):
    """An anchor that the cadence cannot have; `field` says which, `anchor_day` or `anchor_month`."""

    def __init__(self, field: str, message: str) -> None:
        self.field = field
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Cadence:
    """Every `count` days, weeks, months or years, or on listed dates; InvalidCadence beyond a century."""

    count: int
    unit: Unit

    @classmethod
    def parse(cls, text: str) -> "Cadence":
        """Read an ISO 8601 duration of one unit, such as P1M, or `dates`; InvalidCadence names any other text."""
        if text == LISTED:
            return cls(1, "date")
        match = _DURATION.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            raise InvalidCadence(text)
        return cls(int(match[1]), _UNITS[match[2]])

    def __post_init__(self) -> None:
        if self.count < 1 or self.unit not in get_args(Unit) or self.months > 1200 or self.days > 36525:
            raise InvalidCadence(f"{self.count} {self.unit}")

    def __str__(self) -> str:
        return LISTED if self.unit == "date" else f"P{self.count}{self.unit[0].upper()}"

    @property
    def months(self) -> int:
        """Length in months; 0 for weeks, days and listed dates, which have none."""
        return self.count * {"month": 1, "year": 12}.get(self.unit, 0)

    @property
    def days(self) -> int:
        """Length in days; 0 for months, years and listed dates, which differ."""
        return self.count * {"day": 1, "week": 7}.get(self.unit, 0)


def month_later(day: date, months: int, anchor_day: int) -> date:
    """The anchor day of the month that lies so many months after the day's, or that month's last day before it."""
    months += day.year * 12 + day.month - 1
    year, month = months // 12, months % 12 + 1
    return date(year, month, min(anchor_day, monthrange(year, month)[1]))


@dataclass(frozen=True, slots=True)
class Cycle:
    """A billing cycle: `period` is the part that the contract runs in, `full` the whole aligned period around it."""

    period: Period
    full: Period


@dataclass(frozen=True, slots=True)
class BillingCalendar:
    """The cycles of a contract that starts at the instant `start`, with boundaries in `timezone`.

    Boundaries lie whole cadences from `anchor_day` (months: 1 to 31, clamped in shorter months; weeks: 1 to 7, Monday
    = 1; default the start's) of the latest `anchor_month` (default the start's) not after the start's month; those of
    weeks from the anchor day in the start's week, those of days from the start. The first cycle runs from the start
    to the first boundary after it; where it is a stub, its full period is the aligned one around it, or with
    `from_start` one that begins with it (R4.3). ValueError for a naive start, UnknownTimezone, InvalidAnchor.
    """

    cadence: Cadence
    start: datetime
    timezone: str
    anchor_day: int | None = None
    anchor_month: int | None = None
    stub_divisor: StubDivisor = "aligned"
    _origin: date = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", as_utc(self.start))
        self._check_anchor()
        if self.cadence.unit == "date" and not isinstance(self, DatesCalendar):
            raise InvalidAnchor("dates", "Periods on listed dates need the dates; list them, or choose a cadence.")
        first = local_date(self.start, self.timezone)
        if self.cadence.months:
            month = self.anchor_month or first.month
            first = date(first.year - (month > first.month), month, 1)
        elif self.cadence.unit == "week" and self.anchor_day is not None:
            first += timedelta(days=self.anchor_day - first.isoweekday())
        object.__setattr__(self, "_origin", first)

    @property
    def last(self) -> datetime | None:
        """Where the cycles end that are known; None where they go on for ever."""
        return None

    def cycles(self, until: datetime, from_: datetime | None = None) -> Iterator[Cycle]:
        """The cycles that start before `until`, in order, beginning with the one that contains `from_`.

        Without `from_`, or with one before the contract's start, they begin with the first.
        """
        until = as_utc(until)
        begin = self.start if from_ is None else max(self.start, as_utc(from_))
        for index in count(self._index(begin)):
            cycle = self._cycle(index)
            if cycle.period.start >= until or cycle.period.end is None:
                return
            if not cycle.period.is_empty:  # a zone may skip a day, and with it the whole of a daily cycle
                yield cycle

    def cycle_at(self, instant: datetime) -> Cycle:
        """The cycle that contains the instant; ValueError for one before the contract's start.

        Of listed dates, the time after the last is a cycle that is still open.
        """
        if as_utc(instant) < self.start:
            raise ValueError(f"The contract starts at {self.start.isoformat()}, after {instant.isoformat()}.")
        return self._cycle(self._index(as_utc(instant)))

    def share(self, part: Period, full: Period, proration: str) -> Fraction:
        """`billing.periods.share` with what this calendar knows: its zone, its anchor day, months or not (R4.3)."""
        months = self.cadence.months > 0
        anchors: dict[date, int] = {}
        if months and proration == "month30":
            days = {local_date(at, self.timezone) for at in (full.start, full.until, part.start, part.until)}
            anchors = {day: self._anchor_day for day in days if self._is_boundary(day)}
        return share(part, full, proration, self.timezone, anchors=anchors, by_months=months)

    @property
    def _anchor_day(self) -> int:
        return self.anchor_day or local_date(self.start, self.timezone).day

    def _is_boundary(self, day: date) -> bool:
        """Whether a cycle begins on the day."""
        return local_date(self._boundary(self._index(local_midnight(day, self.timezone))), self.timezone) == day

    def _cycle(self, index: int) -> Cycle:
        full = Period(self._boundary(index), self._boundary(index + 1))
        period = Period(max(self.start, full.start), full.end)
        if self.stub_divisor == "from_start" and full.start < self.start < full.until:
            full = Period(self.start, max(self._after_start(), full.until))
        return Cycle(period, full)

    def _after_start(self) -> datetime:
        """A whole cadence after the start's day."""
        first = local_date(self.start, self.timezone)
        if not self.cadence.months:
            return local_midnight(first + timedelta(days=self.cadence.days), self.timezone)
        return local_midnight(month_later(first, self.cadence.months, first.day), self.timezone)

    def _index(self, instant: datetime) -> int:
        """Which cycle contains the instant, from an estimate that is off by one at most."""
        day = local_date(instant, self.timezone)
        if self.cadence.months:
            elapsed = (day.year - self._origin.year) * 12 + day.month - self._origin.month
            index = elapsed // self.cadence.months
        else:
            index = (day - self._origin).days // self.cadence.days
        while self._boundary(index) > instant:
            index -= 1
        while self._boundary(index + 1) <= instant:
            index += 1
        return index

    def _boundary(self, index: int) -> datetime:
        """The instant at which the cycle of that index begins; negative ones lie before the anchor."""
        if not self.cadence.months:
            return local_midnight(self._origin + timedelta(days=index * self.cadence.days), self.timezone)
        months = index * self.cadence.months
        return local_midnight(month_later(self._origin, months, self._anchor_day), self.timezone)

    def _check_anchor(self) -> None:
        last = {"date": 0, "day": 0, "week": 7}.get(self.cadence.unit, 31)
        if self.anchor_day is not None and not 1 <= self.anchor_day <= last:
            allowed = f"takes an anchor day from 1 to {last}" if last else "takes no anchor day; leave it out"
            raise InvalidAnchor("anchor_day", f"A cadence of {self.cadence} {allowed}, not {self.anchor_day}.")
        if self.anchor_month is None:
            return
        if not self.cadence.months:
            raise InvalidAnchor("anchor_month", f"A cadence of {self.cadence} has no anchor month; leave it out.")
        if not 1 <= self.anchor_month <= 12:
            raise InvalidAnchor("anchor_month", f"An anchor month is 1 to 12, not {self.anchor_month}.")


@dataclass(frozen=True, slots=True)
class DatesCalendar(BillingCalendar):
    """Cycles that end on listed dates: the first runs from the start to the first date, each other between two.

    Every one is a full period. Nothing is known of the time after the last date: no cycle begins there until later
    dates are listed. InvalidAnchor for dates that are missing, not after the start, or not in order.
    """

    dates: tuple[date, ...] = ()
    _bounds: tuple[datetime, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        BillingCalendar.__post_init__(self)
        bounds = (self.start, *(local_midnight(each, self.timezone) for each in self.dates))
        if len(bounds) == 1:
            raise InvalidAnchor("dates", "Periods on listed dates need one date at least: the end of the first period.")
        for before, after in pairwise(bounds):
            if after <= before:
                day = local_date(after, self.timezone)
                raise InvalidAnchor("dates", f"{day} does not come after the date before it, or the start: sort them.")
        object.__setattr__(self, "_bounds", bounds)

    @property
    def last(self) -> datetime | None:
        """The last of the dates."""
        return self._bounds[-1]

    def _cycle(self, index: int) -> Cycle:
        period = Period(self._bounds[index], self._bounds[index + 1] if index + 1 < len(self._bounds) else None)
        return Cycle(period, period)

    def _index(self, instant: datetime) -> int:
        return bisect_right(self._bounds, instant) - 1


def make_calendar(
    cadence: str, start: datetime, timezone: str, *, anchor_day: int | None = None, anchor_month: int | None = None,
    stub_divisor: StubDivisor = "aligned", dates: Sequence[date] = (),
) -> BillingCalendar:  # fmt: skip
    """The calendar of a cadence as it is written, or of listed dates; InvalidCadence, InvalidAnchor."""
    every = Cadence.parse(cadence)
    if every.unit == "date":
        return DatesCalendar(every, start, timezone, anchor_day, anchor_month, dates=tuple(dates))
    if dates:
        raise InvalidAnchor("dates", f"A cadence of {cadence} needs no dates: leave them out, or choose “{LISTED}”.")
    return BillingCalendar(every, start, timezone, anchor_day, anchor_month, stub_divisor)
