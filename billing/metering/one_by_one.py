"""The events that a meter counts, one by one: what stands behind a quantity, as far as it is to be known."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.db import connection

from billing.metering import names
from billing.metering.asking import CountedEvent, Request
from billing.metering.counting import claimed, events
from billing.metering.exact_json import loads
from billing.metering.meters.counting import dimension
from billing.metering.meters.fragments import Fragment
from billing.metering.models import Meter
from billing.metering.months import queries as months
from billing.metering.segments import Segments
from billing.metering.windows import split
from billing.periods import Period

PAGE: Final = 10_000
"""Events that are held at once."""
LAST: Final = timedelta(days=1)
"""The end of a period in which its newest events are looked for first."""
Mark = tuple[datetime, int, int]
"""Time, batch and place: the order of events (R2.1)."""


def newest(meter: Meter, request: Request, dimensions: Sequence[str], *, limit: int) -> list[CountedEvent]:
    """The latest events that count in the request's period, newest first; a meter `as_known` tells what it knew.

    MonthDetached when one of its months lies in the archive.
    """
    whole, order = request.period, "ORDER BY ev.ts DESC, ev.batch DESC, ev.n DESC"
    asked = _Asked.of(meter, request, dimensions)
    last = Period(max(whole.start, whole.until - LAST), whole.until)  # most often it has enough of them
    rows = asked.read(last, order, limit)
    if len(rows) < limit and last != whole:
        rows = asked.read(whole, order, limit)
    return [_event(row) for row in rows]


def in_order(meter: Meter, request: Request, dimensions: Sequence[str]) -> Iterator[CountedEvent]:
    """Every event that counts in the request's period, in order of time; at most `PAGE` are held.

    Of a meter that carries its value on, since the first event of its subjects. MonthDetached at the first piece that
    lies in the archive.
    """
    period, asked = request.period, _Asked.of(meter, request, dimensions)
    if meter.recurring and (first := _first(meter, request)):
        period = Period(min(first, period.start), period.end)
    for day in split(period, "day", request.timezone):
        after: Mark | None = None
        while rows := asked.read(day, "ORDER BY ev.ts, ev.batch, ev.n", PAGE, after):
            yield from map(_event, rows)
            if len(rows) < PAGE:
                break
            after = rows[-1][:3]


@dataclass(frozen=True, slots=True)
class _Asked:
    """A meter and whose events it is asked for: pieces of subjects' time."""

    meter: Meter
    type_id: int | None
    claims: Sequence[tuple[int, Period]]
    dimensions: Sequence[str]

    @classmethod
    def of(cls, meter: Meter, request: Request, dimensions: Sequence[str]) -> "_Asked":
        """A request, with the names that it uses looked up."""
        subjects = names.subjects.known({subject for subject, _ in request.claims})
        claims = [(subjects[subject], claim) for subject, claim in request.claims if subject in subjects]
        return cls(meter, names.types.known([meter.event_type]).get(meter.event_type), claims, dimensions)

    def read(self, period: Period, order: str, limit: int, after: Mark | None = None) -> list[tuple[Any, ...]]:
        """Time, batch, place, id, source, subject, value and values of the dimensions of what counts in a period."""
        segments = Segments()
        for subject, claim in self.claims:
            if within := claim.intersect(period):
                segments.add(0, subject, within)
        if self.type_id is None or not segments.whole.keys:
            return []
        extra = [Fragment("e.id"), Fragment("e.source_id"), *(dimension(path) for path in self.dimensions)]
        read = events(self.meter, claimed(segments.whole, self.type_id, "true"), extra)
        columns = "".join(f", ev.x{place + 2}" for place in range(len(self.dimensions)))
        beyond = "AND (ev.ts, ev.batch, ev.n) > (%s, %s, %s)" if after else ""
        statement = f"""
            SELECT ev.ts, ev.batch, ev.n, ev.x0, source.name, subject.name, ev.value{columns} FROM ({read.sql}) ev
            JOIN metering_source source ON source.id = ev.x1 JOIN metering_subject subject ON subject.id = ev.subject_id
            WHERE ev.valid {beyond} {order} LIMIT %s"""
        return months.read(statement, [*read.values, *(after or ()), limit], segments.whole.periods())


def _event(row: tuple[Any, ...]) -> CountedEvent:
    ts, _, _, id_, source, subject, value, *values = row
    return CountedEvent(source, id_, subject, ts, _value(value), tuple(values))


def _value(value: Decimal | str | None) -> Decimal | str | None:
    """A number, or one of several distinct values (JSON) as people write it."""
    if not isinstance(value, str):
        return value
    text = loads(value)
    return text if isinstance(text, str) else value


def _first(meter: Meter, request: Request) -> datetime | None:
    """The start of the first day on which the request's subjects have events of the meter's type."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT min(a.day)::timestamp AT TIME ZONE 'UTC' FROM metering_activity a
               JOIN metering_subject s ON s.id = a.subject_id JOIN metering_type t ON t.id = a.type_id
               WHERE s.name = ANY(%s) AND t.name = %s""",
            [[subject for subject, _ in request.claims], meter.event_type],
        )
        found: datetime | None = cursor.fetchone()[0]
    return found
