"""Which days, hours and single events a question is answered from. Pure: no Django, no database, no clock.

Days (UTC) over hours over events: whole days lie within whole hours, and events at the two ragged edges of a period
that does not begin and end on full hours (local midnight in Kathmandu is at 18:15 UTC).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
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

    def add(self, key: int, subject: int, start: datetime, end: datetime | None) -> None:
        """Another stretch, unless it is empty; an `end` of None never ends."""
        if end is None or start < end:
            self.keys.append(key)
            self.subjects.append(subject)
            self.starts.append(start.isoformat())
            self.ends.append("infinity" if end is None else end.isoformat())

    def __len__(self) -> int:
        return len(self.keys)

    def literals(self) -> list[str]:
        """The columns as array literals, which travel quicker than lists do."""
        columns: Iterable[list[int] | list[str]] = (self.keys, self.subjects, self.starts, self.ends)
        return ["{" + ",".join(map(str, column)) + "}" for column in columns]


@dataclass(slots=True)
class Segments:
    """Stretches by what answers them: `days` and `hours` together are `inner`, with `edges` they are `whole`."""

    days: Columns = field(default_factory=Columns)
    hours: Columns = field(default_factory=Columns)
    inner: Columns = field(default_factory=Columns)
    edges: Columns = field(default_factory=Columns)
    whole: Columns = field(default_factory=Columns)

    def add(self, key: int, subject: int, period: Period) -> None:
        """Cut a subject's stretch into whole days, whole hours and edges."""
        start, end = period.start, period.end
        self.whole.add(key, subject, start, end)
        first, last = _up(start, _HOUR), None if end is None else _down(end, _HOUR)
        if last is not None and first >= last:
            self.edges.add(key, subject, start, end)
            return
        self.edges.add(key, subject, start, first)
        if last is not None:
            self.edges.add(key, subject, last, end)
        self.inner.add(key, subject, first, last)
        first_day, last_day = _up(first, _DAY), None if last is None else _down(last, _DAY)
        if last_day is not None and first_day >= last_day:
            self.hours.add(key, subject, first, last)
            return
        self.hours.add(key, subject, first, first_day)
        self.days.add(key, subject, first_day, last_day)
        if last_day is not None:
            self.hours.add(key, subject, last_day, last)


def _down(instant: datetime, step: timedelta) -> datetime:
    """The full hour or day (UTC) at or before an instant."""
    midnight = instant.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + (instant - midnight) // step * step


def _up(instant: datetime, step: timedelta) -> datetime:
    """The full hour or day (UTC) at or after an instant."""
    full = _down(instant, step)
    return full if full == instant else full + step
