"""When usage is not as it was. Pure: no Django, no database, no clock.

A day is held against two things of its own history: the same weekday of the four weeks before, and the fourteen days
before. Both must find it far off, so that neither quiet weekends nor one odd day raise an alert. Medians and median
deviations are used, because one outlier in the history must not move what is usual.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Final

HISTORY: Final = 28
"""Days before the day that is judged."""

RECENT: Final = 14
"""Days whose median and deviation a jump is also held against."""

FEWEST_EVENTS: Final = 20
"""Events that a usual day must have, before or after, for a change to be a jump: below, chance rules."""

FACTOR: Final = 3
"""A jump is at least three times, or at most a third of, what is usual."""

DEVIATIONS: Final = Decimal("7.413")
"""Median absolute deviations that a jump exceeds: five standard deviations of a normal distribution."""

ACTIVE_DAYS: Final = 5
"""Days with usage that the history must have before silence means anything."""

PATIENCE: Final = 2
"""Silence is a stop when it lasts at least this many times the longest usual gap, in days."""

SHORTEST_STOP: Final = 2
"""Days of silence before which nobody is told."""


@dataclass(frozen=True, slots=True)
class Day:
    """A day's usage: events that counted, and the quantity they came to."""

    events: int = 0
    value: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Finding:
    """What is not as it was: `kind` is “stop” or “jump”; `days` counts back from the judged day to its beginning."""

    kind: str
    days: int
    expected: Decimal
    seen: Decimal


def judge(history: Sequence[Day], day: Day) -> Finding | None:
    """What is odd about a day after the 28 days before it, oldest first; None when nothing is. ValueError otherwise."""
    if len(history) != HISTORY:
        raise ValueError(f"The history has {len(history)} days, not {HISTORY}.")
    return _stop(history, day) if day.events == 0 else _jump(history, day)


def _stop(history: Sequence[Day], day: Day) -> Finding | None:
    """Silence that lasts longer than twice the longest gap between days with usage."""
    active = [place for place, each in enumerate(history) if each.events]
    if len(active) < ACTIVE_DAYS:
        return None
    silent = HISTORY - active[-1]  # days without usage, the judged one included
    longest = max(later - earlier for earlier, later in pairwise(active))
    if silent < max(SHORTEST_STOP, PATIENCE * longest):
        return None
    usual = median([history[place].value for place in active])
    return Finding("stop", silent - 1, usual, Decimal(0))


def _jump(history: Sequence[Day], day: Day) -> Finding | None:
    """Far more, or far less, than on the same weekday and than of late."""
    same_weekday = [history[place] for place in range(0, HISTORY, 7)]
    recent = history[-RECENT:]
    if sum(1 for each in recent if each.events) < ACTIVE_DAYS:
        return None
    if max(median([Decimal(each.events) for each in recent]), Decimal(day.events)) < FEWEST_EVENTS:
        return None
    by_weekday = median([each.value for each in same_weekday])
    by_recent = median([each.value for each in recent])
    deviation = median([abs(each.value - by_recent) for each in recent])
    if abs(day.value - by_recent) <= DEVIATIONS * deviation:
        return None
    more = all(day.value > 0 and day.value >= FACTOR * usual for usual in (by_weekday, by_recent))
    less = all(usual > 0 and FACTOR * day.value <= usual for usual in (by_weekday, by_recent))
    return Finding("jump", 0, by_weekday, day.value) if more or less else None


def median(values: Sequence[Decimal]) -> Decimal:
    """The middle value, or the mean of the two in the middle. ValueError without values."""
    if not values:
        raise ValueError("There is no median of nothing.")
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
