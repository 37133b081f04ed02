"""The eight aggregations, each over the values of events in their order: by time, and ties by arrival (R2.1).

Exact, in fractions. Pure: no Django, no database, no clock.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Final, Self

from billing.metering.definitions import MeterDefinition
from billing.periods import Period, local_date

Key = tuple[str, str | Fraction]
"""A value that is counted once: its kind (text, number, boolean), since the text "1" is not the number, and itself."""

_TICK: Final = timedelta(microseconds=1)
_NOTHING: Final = Fraction(0)


@dataclass(frozen=True, slots=True)
class Counted:
    """What a meter reads from one event: a number, or for a unique_count a key that it adds or removes.

    `time` is in UTC, `place` the event's place in the order of arrival.
    """

    time: datetime
    place: int
    number: Fraction | None = None
    key: Key | None = None
    adds: bool = True


@dataclass(frozen=True, slots=True)
class Window:
    """A period and the aligned one around it, in instants and in local days (ordinals; the last day counts)."""

    start: datetime
    end: datetime
    first_day: int
    last_day: int
    full_days: int
    full_time: timedelta
    timezone: str

    @classmethod
    def of(cls, period: Period, full: Period, timezone: str) -> Self:
        """The window of a period within a full one; ValueError when it is none or reaches beyond it."""
        if period.is_empty:
            raise ValueError("A period without length contains no instant; let it end after it starts.")
        if period.start < full.start or period.until > full.until:
            raise ValueError("The period reaches beyond the full period; let the full period contain it.")
        days = [
            local_date(at, timezone).toordinal()
            for at in (period.start, period.until - _TICK, full.start, full.until - _TICK)
        ]
        return cls(
            period.start, period.until, days[0], days[1], days[3] - days[2] + 1, full.until - full.start, timezone
        )

    def day(self, instant: datetime) -> int:
        """The local day of an instant, as an ordinal."""
        return local_date(instant, self.timezone).toordinal()


def aggregate(meter: MeterDefinition, counted: Sequence[Counted], window: Window) -> Fraction:
    """The quantity of events in their order, which may begin before the window if the meter recurs; 0 for none."""
    numbers = [each.number for each in counted if each.number is not None]
    match meter.aggregation:
        case "count":
            return Fraction(len(counted))
        case "sum":
            return _prorated_sum(counted, window) if meter.prorate else sum(numbers, _NOTHING)
        case "max":
            return max(numbers, default=_NOTHING)
        case "min":
            return min(numbers, default=_NOTHING)
        case "latest":
            return numbers[-1] if numbers else _NOTHING
        case "average":
            return sum(numbers, _NOTHING) / len(numbers) if numbers else _NOTHING
        case "weighted_sum":
            return _weighted_sum(counted, window)
        case "unique_count":
            return _unique_count(counted, window, prorate=meter.prorate)


def _weighted_sum(counted: Sequence[Counted], window: Window) -> Fraction:
    """Each part weighs by the time from its event to the period's end, over the time of the full period (R2.1).

    The same as the area under the running value; what came before the period weighs from its start.
    """
    area = sum(
        (
            each.number * _ticks(window.end - max(each.time, window.start))
            for each in counted
            if each.number is not None
        ),
        _NOTHING,
    )
    return area / _ticks(window.full_time)


def _ticks(span: timedelta) -> int:
    """A span in microseconds."""
    return span // _TICK


def _prorated_sum(counted: Sequence[Counted], window: Window) -> Fraction:
    """Each part weighs by the days on which it was there (R2.4): what is added from its own day on, what is taken
    away from the day after, since the last day counts too."""
    total = _NOTHING
    for each in counted:
        assert each.number is not None  # a sum reads a number from every event that counts
        since = window.first_day
        if each.time >= window.start:
            since = window.day(each.time) + (each.number < 0)
        total += each.number * max(0, window.last_day - since + 1)
    return total / window.full_days


def _unique_count(counted: Sequence[Counted], window: Window, *, prorate: bool) -> Fraction:
    """The values that are there in the end, the last operation on each deciding; prorated, each by its days (R2.4)."""
    histories: dict[Key, list[Counted]] = {}
    for each in counted:
        assert each.key is not None  # a unique_count reads one from every event that counts
        histories.setdefault(each.key, []).append(each)
    if not prorate:
        return Fraction(sum(history[-1].adds for history in histories.values()))
    days = sum(_days_present(history, window) for history in histories.values())
    return Fraction(days, window.full_days)


def _days_present(history: Sequence[Counted], window: Window) -> int:
    """The days of the window on which a value was there, each once, with those on which it came and went."""
    days, free = 0, window.first_day  # days before `free` are counted, or lie outside
    for first, last in _stays(history, window):
        first = max(first, free)
        days += max(0, last - first + 1)
        free = max(free, last + 1)
    return days


def _stays(history: Sequence[Counted], window: Window) -> Iterator[tuple[int, int]]:
    """First and last day of each time that a value was there within the window."""
    since: int | None = None
    for each in history:
        inside = each.time >= window.start
        if each.adds and since is None:
            since = window.day(each.time) if inside else window.first_day
        elif not each.adds and since is not None:
            if inside:
                yield since, window.day(each.time)
            since = None
    if since is not None:
        yield since, window.last_day
