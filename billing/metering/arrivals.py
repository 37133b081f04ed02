"""What became known of usage after something was computed from it: events that came, and events that a correction
took back or gave back, by the batch that told it.

The order in which facts became known is that of positions (docs/architecture.md, Usage), never of times. Days without
anything new are left out by the position that each day of a subject carries, so that only what changed is read.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.db import connection

from billing.metering import names
from billing.metering.asking import Claim, Known
from billing.metering.counting import Source, events
from billing.metering.meters.fragments import Fragment
from billing.metering.models import Meter
from billing.metering.months import queries as months
from billing.metering.segments import Columns
from billing.money import EXACT
from billing.periods import Period


@dataclass(frozen=True, slots=True)
class Asked:
    """Usage of a meter by whoever has these claims, within a period: what came of it that was not `known`?"""

    key: int
    meter: Meter
    claims: tuple[Claim, ...]
    period: Period
    known: Known


@dataclass(slots=True)
class Arrival:
    """What one batch changed: events that came, that a correction took back, that it gave back.

    `value` is what the meter reads from them together, those taken back less; None where that has no meaning (R2.3).
    """

    key: int
    batch: int
    position: int | None
    recorded_at: datetime
    came: int = 0
    taken: int = 0
    given: int = 0
    value: Decimal | None = None


ADDED: Final = ("count", "sum")
"""Aggregations whose values add up over any events."""
_STRETCHES: Final = (
    "unnest(%s::bigint[], %s::int[], %s::timestamptz[], %s::timestamptz[], %s::int[], %s::bigint[])"
    " AS s(key, subject_id, lo, hi, type_id, known)"
)
_TOUCHED: Final = f"""
    WITH asked AS MATERIALIZED (SELECT * FROM {_STRETCHES}),
    waiting AS MATERIALIZED (
        SELECT DISTINCT e.subject_id, e.type_id, (e.ts AT TIME ZONE 'UTC')::date AS day
        FROM metering_event e WHERE e.batch IN (SELECT batch FROM metering_pending)
             AND e.ts >= (SELECT min(h) FROM metering_pending, unnest(hours) h)
             AND e.ts < (SELECT max(h) FROM metering_pending, unnest(hours) h) + interval '1 hour'
        UNION
        SELECT DISTINCT h.subject_id, h.type_id, (h.hour AT TIME ZONE 'UTC')::date
        FROM metering_corrected_hour h JOIN metering_pending USING (batch)
    )
    SELECT s.key, s.subject_id, greatest(s.lo, d.day::timestamp AT TIME ZONE 'UTC'),
           least(s.hi, (d.day + 1)::timestamp AT TIME ZONE 'UTC')
    FROM asked s JOIN LATERAL (
        SELECT a.day FROM metering_activity a
        WHERE a.subject_id = s.subject_id AND a.type_id = s.type_id AND a.position > s.known
              AND a.day >= (s.lo AT TIME ZONE 'UTC')::date AND a.day < s.hi AT TIME ZONE 'UTC'
        UNION
        SELECT w.day FROM waiting w
        WHERE w.subject_id = s.subject_id AND w.type_id = s.type_id
              AND w.day >= (s.lo AT TIME ZONE 'UTC')::date AND w.day < s.hi AT TIME ZONE 'UTC'
    ) d ON true ORDER BY 1, 2, 3"""
_DAYS: Final = "unnest(%s::bigint[], %s::int[], %s::timestamptz[], %s::timestamptz[]) AS r(key, subject_id, lo, hi)"


def known_at(times: Iterable[datetime]) -> dict[datetime, Known]:
    """What was known at times, for what kept no position: batches recorded until then. One query."""
    asked = sorted(set(times))
    if not asked:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT t.place, (SELECT max(position) FROM metering_batch WHERE recorded_at <= t.at)
               FROM unnest(%s::timestamptz[]) WITH ORDINALITY AS t(at, place) ORDER BY 2""",
            [asked],
        )
        found = dict(cursor.fetchall())
    return {at: Known(found[place] or 0) for place, at in enumerate(asked, 1)}


def arrivals(asked: Sequence[Asked]) -> list[Arrival]:
    """What became known after `known`, by question and batch; nothing where nothing did.

    Two queries, and two more a meter. MonthDetached when events of a detached month are needed.
    """
    by_key = {each.key: each for each in asked}
    found: list[Arrival] = []
    for meter, days in _touched(asked):
        type_id = names.types.known([meter.event_type])[meter.event_type]
        came = _read(meter, _came(days, type_id), days)
        corrected = _read(meter, _corrected(days, type_id), days)
        rows: dict[tuple[int, int], Arrival] = {}
        for kind, (key, batch, position, at, count, value) in [
            *(("came", row) for row in came),
            *(("given" if row[-1] else "taken", row[:-1]) for row in corrected),
        ]:
            if by_key[key].known.includes(batch, position):
                continue
            each = rows.setdefault((key, batch), Arrival(key, batch, position, at))
            setattr(each, kind, getattr(each, kind) + count)
            each.value = _together(meter, each.value, count, value, less=kind == "taken")
        found += rows.values()
    return sorted(found, key=lambda each: (each.key, each.recorded_at, each.batch))


def _together(meter: Meter, before: Decimal | None, count: int, value: Decimal | None, *, less: bool) -> Decimal | None:
    """A value and one more, or less."""
    if meter.aggregation not in ADDED:
        return None
    more = Decimal(count) if meter.aggregation == "count" else value or Decimal(0)
    return EXACT.add(before or Decimal(0), -more if less else more)


def _touched(asked: Sequence[Asked]) -> list[tuple[Meter, Columns]]:
    """The days on which something is new, of each meter: stretches of subjects' time by key."""
    types = names.types.known({each.meter.event_type for each in asked})
    subjects = names.subjects.known({subject for each in asked for subject, _ in each.claims})
    columns: tuple[list[Any], ...] = ([], [], [], [], [], [])
    for each in asked:
        for subject, claim in each.claims:
            within = claim.intersect(each.period)
            if within and subject in subjects and each.meter.event_type in types:
                row = (each.key, subjects[subject], within.start, within.end, types[each.meter.event_type],
                       each.known.position)  # fmt: skip
                for column, value in zip(columns, row, strict=True):
                    column.append(value)
    if not columns[0]:
        return []
    with connection.cursor() as cursor:
        cursor.execute(_TOUCHED, columns)
        rows = cursor.fetchall()
    meters = {each.key: each.meter for each in asked}
    found: dict[tuple[int, str], tuple[Meter, Columns]] = {}
    for key, subject, start, end in rows:
        meter = meters[key]
        days = found.setdefault((meter.pk, repr(meter.besides)), (meter, Columns()))[1]
        days.keys.append(key)
        days.subjects.append(subject)
        days.starts.append(start.isoformat())
        days.ends.append(end.isoformat())
    return list(found.values())


def _came(days: Columns, type_id: int) -> tuple[Source, str]:
    """Events that happened on the days, whether or not they count still."""
    sql = f"""{_DAYS}
        JOIN metering_event e ON e.subject_id = r.subject_id AND e.type_id = %s AND e.ts >= r.lo AND e.ts < r.hi"""
    return Source(Fragment(sql, (*days.literals(), type_id)), "true", stands="true"), ""


def _corrected(days: Columns, type_id: int) -> tuple[Source, str]:
    """Events that corrections spoke of, each by the batch of the correction."""
    sql = f"""{_DAYS}
        JOIN metering_corrected_hour h ON h.subject_id = r.subject_id AND h.type_id = %s
             AND h.hour > r.lo - interval '1 hour' AND h.hour < r.hi
        JOIN metering_event e ON e.subject_id = h.subject_id AND e.type_id = h.type_id
             AND e.ts >= greatest(h.hour, r.lo) AND e.ts < least(h.hour + interval '1 hour', r.hi)
        JOIN metering_corrected_event ce ON ce.batch = e.batch AND ce.n = e.n
        JOIN billing_correction told ON told.id = ce.correction_id AND told.batch = h.batch"""
    return Source(Fragment(sql, (*days.literals(), type_id)), "true", stands="true"), "told"


def _read(meter: Meter, source: tuple[Source, str], days: Columns) -> list[tuple[Any, ...]]:
    """Key, batch, its position, when it was recorded, events and their value; of corrections also what they said."""
    where, corrections = source
    extra = [Fragment("told.batch"), Fragment("ce.counts")] if corrections else []
    read = events(meter, where, extra)
    batch, said = ("ev.x0", ", ev.x1") if corrections else ("ev.batch", "")
    value = "sum(ev.value)" if meter.aggregation in ADDED else "NULL::numeric"
    statement = f"""
        SELECT n.key, n.batch, b.position, b.recorded_at, n.events, n.value{", n.said" if said else ""} FROM (
            SELECT ev.key, {batch} AS batch, count(*) AS events, {value} AS value{said and ", ev.x1 AS said"}
            FROM ({read.sql}) ev WHERE ev.valid GROUP BY ev.key, {batch}{said}
        ) n JOIN metering_batch b ON b.no = n.batch"""
    return months.read(statement, read.values, days.periods())
