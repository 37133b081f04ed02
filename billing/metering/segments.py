"""Which dekads, days, hours and single events a question is answered from. Pure: no Django, no database, no clock.

Dekads over days over hours over events (all UTC): whole dekads, thirds of a month, lie within whole days, whole days
within whole hours, and events at the two ragged edges of a period that does not begin and end on full hours (local
midnight in Kathmandu is at 18:15 UTC).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

from billing.periods import Period

_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)


@dataclass(slots=True)
class Columns:
    """Stretches of subjects' time as columns for `unnest`: the key of the question, the subject, start and end."""

    keys: list[int] = field(default_factory=list)
    subjects: list[int] = field(default_factory=list)
    starts: list[str] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.keys)

    def periods(self) -> Iterable[tuple[str, str]]:
        """Start and end of each stretch."""
        return zip(self.starts, self.ends, strict=True)

    def literals(self) -> list[str]:
        """The columns as array literals, which travel quicker than lists do."""
        columns: Iterable[list[int] | list[str]] = (self.keys, self.subjects, self.starts, self.ends)
        return ["{" + ",".join(map(str, column)) + "}" for column in columns]


@dataclass(slots=True)
class Segments:
    """Stretches by what answers them: `dekads`, `days` and `hours` are `inner`, with `edges` they are `whole`.

    Dekads answer what lies before `settled`, the start of one; None where there are none.
    """

    settled: datetime | None = None
    dekads: Columns = field(default_factory=Columns)
    days: Columns = field(default_factory=Columns)
    hours: Columns = field(default_factory=Columns)
    inner: Columns = field(default_factory=Columns)
    edges: Columns = field(default_factory=Columns)
    whole: Columns = field(default_factory=Columns)

    def add(self, key: int, subject: int, period: Period) -> None:
        """Cut a subject's stretch into whole dekads, whole days, whole hours and edges."""
        for kind, start, end in _cut(period, self.settled):
            columns: Columns = getattr(self, kind)
            columns.keys.append(key)
            columns.subjects.append(subject)
            columns.starts.append(start)
            columns.ends.append(end)


@lru_cache(maxsize=10_000)
def _cut(period: Period, settled: datetime | None) -> tuple[tuple[str, str, str], ...]:
    """The stretches of a period that are not empty: what answers them, start and end as text."""
    return tuple(
        (kind, start.isoformat(), "infinity" if end is None else end.isoformat())
        for kind, start, end in _stretches(period.start, period.end, settled)
        if end is None or start < end
    )


def _stretches(
    start: datetime, end: datetime | None, settled: datetime | None
) -> Iterator[tuple[str, datetime, datetime | None]]:
    """The stretches of a period, empty ones too; an end of None never comes."""
    yield "whole", start, end
    first, last = _up(start, _HOUR), None if end is None else _down(end, _HOUR)
    if last is not None and first >= last:
        yield "edges", start, end
        return
    yield "edges", start, first
    if last is not None:
        yield "edges", last, end
    yield "inner", first, last
    first_day, last_day = _up(first, _DAY), None if last is None else _down(last, _DAY)
    if last_day is not None and first_day >= last_day:
        yield "hours", first, last
        return
    yield "hours", first, first_day
    yield from _by_dekads(first_day, last_day, settled)
    if last_day is not None:
        yield "hours", last_day, last


def _by_dekads(
    start: datetime, end: datetime | None, settled: datetime | None
) -> Iterator[tuple[str, datetime, datetime | None]]:
    """Whole days by the settled dekads that lie within them, and the days around these."""
    first = dekad_of(start)
    if first < start:
        first = dekad_of(first + 11 * _DAY)  # in the next one, whatever the month's length
    last = settled if settled is None or end is None else min(settled, dekad_of(end))
    if last is None or first >= last:
        yield "days", start, end
        return
    yield "days", start, first
    yield "dekads", first, last
    yield "days", last, end


def dekad_of(instant: datetime) -> datetime:
    """The start of the dekad (UTC) in which an instant lies: the 1st, 11th or 21st of its month."""
    day = 1 + 10 * min((instant.day - 1) // 10, 2)
    return instant.replace(day=day, hour=0, minute=0, second=0, microsecond=0)


def _down(instant: datetime, step: timedelta) -> datetime:
    """The full hour or day (UTC) at or before an instant."""
    midnight = instant.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + (instant - midnight) // step * step


def _up(instant: datetime, step: timedelta) -> datetime:
    """The full hour or day (UTC) at or after an instant."""
    full = _down(instant, step)
    return full if full == instant else full + step
