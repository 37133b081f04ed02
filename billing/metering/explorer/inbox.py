"""What counts for nobody, and what meters cannot read: counted from the days that rollups keep, never from all events.

A day that a claim cuts is counted from its subject's events. What is pending is counted from its batches.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from django.db import connection

from billing.metering.explorer.judging import judged_sql
from billing.metering.models import Meter
from billing.metering.queries import Unmatched

LOOKED_AT: Final = 50_000
"""Events that are read to tell the reasons why a meter cannot read some of them."""

NOT_VOIDED: Final = "NOT EXISTS (SELECT 1 FROM metering_voided v WHERE v.batch = e.batch AND v.n = e.n)"
_PENDING: Final = f"""
    pending AS MATERIALIZED (
        SELECT e.subject_id, e.type_id, (e.ts AT TIME ZONE 'UTC')::date AS day, count(*) AS n,
               min(e.ts) AS first_ts, max(e.ts) AS last_ts
        FROM metering_event e
        WHERE e.batch >= %(low)s AND e.batch <= %(high)s AND e.ts >= %(since)s
          AND e.batch IN (SELECT batch FROM metering_pending) AND {NOT_VOIDED}
        GROUP BY 1, 2, 3)"""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Events of a meter's type that it cannot read, for one reason; and the latest of them. No reason: not looked at."""

    meter: Meter
    reason: str
    events: int
    first: datetime | None
    last: datetime | None
    source: str = ""
    event_id: str = ""


def unmatched_subjects(since: date, limit: int = 100) -> list[Unmatched]:
    """Subjects with events since a day (UTC) at times when no customer claims them, most events first (R1.3)."""
    day = "tstzrange(a.day::timestamp AT TIME ZONE 'UTC', (a.day + 1)::timestamp AT TIME ZONE 'UTC')"
    statement = f"""
        WITH {_PENDING},
        unclaimed AS MATERIALIZED (
            SELECT s.id, s.name, coalesce(c.claimed, '{{}}'::tstzmultirange) AS claimed
            FROM metering_subject s LEFT JOIN (
                SELECT subject, range_agg(tstzrange(valid_from, valid_to)) AS claimed
                FROM customers_usagesubject GROUP BY subject) c ON c.subject = s.name
            WHERE c.claimed IS DISTINCT FROM '{{(,)}}'::tstzmultirange),
        days AS (
            SELECT u.id, u.name, u.claimed, a.n, a.first_ts, a.last_ts, {day} AS whole
            FROM unclaimed u CROSS JOIN LATERAL (
                SELECT day, sum(n) AS n, min(first_ts) AS first_ts, max(last_ts) AS last_ts
                FROM (SELECT day, n, first_ts, last_ts FROM metering_activity
                      WHERE subject_id = u.id AND day >= %(day)s AND n > 0
                      UNION ALL SELECT day, n, first_ts, last_ts FROM pending WHERE subject_id = u.id) both_of
                GROUP BY day) a),
        counted AS (
            SELECT name, n, first_ts, last_ts FROM days WHERE NOT claimed && whole
            UNION ALL
            SELECT d.name, e.n, e.first_ts, e.last_ts
            FROM days d CROSS JOIN LATERAL (
                SELECT count(*) AS n, min(e.ts) AS first_ts, max(e.ts) AS last_ts FROM metering_event e
                WHERE e.subject_id = d.id AND e.ts >= lower(d.whole) AND e.ts < upper(d.whole)
                  AND NOT d.claimed @> e.ts AND {NOT_VOIDED}) e
            WHERE d.claimed && d.whole AND NOT d.claimed @> d.whole AND e.n > 0)
        SELECT name, sum(n)::bigint, min(first_ts), max(last_ts)
        FROM counted GROUP BY name ORDER BY 2 DESC, 1 LIMIT %(limit)s
    """
    return [Unmatched(*row) for row in _run(statement, since, limit=limit)]


def unmatched_types(since: date, limit: int = 100) -> list[Unmatched]:
    """Types with events since a day (UTC) that no meter counts, most events first (R1.3)."""
    nobodys = "SELECT id FROM metering_type t WHERE NOT EXISTS (SELECT 1 FROM billing_meter m WHERE m.event_type = t.name)"
    with connection.cursor() as cursor:
        cursor.execute(nobodys)
        types = [pk for (pk,) in cursor.fetchall()]
    if not types:
        return []
    statement = f"""
        WITH {_PENDING}
        SELECT t.name, sum(a.n)::bigint, min(a.first_ts), max(a.last_ts)
        FROM (SELECT type_id, n, first_ts, last_ts FROM metering_activity
              WHERE type_id = ANY(%(types)s) AND day >= %(day)s AND n > 0
              UNION ALL SELECT type_id, n, first_ts, last_ts FROM pending WHERE type_id = ANY(%(types)s)) a
        JOIN metering_type t ON t.id = a.type_id GROUP BY t.name ORDER BY 2 DESC, 1 LIMIT %(limit)s
    """
    return [Unmatched(*row) for row in _run(statement, since, limit=limit, types=types)]


def unreadable(since: date) -> list[Unreadable]:
    """Events since a day (UTC) that meters cannot read, by meter and reason, claimed or not (R1.3).

    The days of subjects that have such events are known; the reasons are told by reading these days, the latest
    first, as far as the bound goes. What lies beyond it is counted without a reason.
    """
    meters = [meter for meter in Meter.objects.all() if meter.aggregation != "count"]
    found: list[Unreadable] = []
    slices = _slices(meters, since)
    for meter in meters:
        own = [each for each in slices if each[0] == meter.pk]
        kept, beyond = _bounded(own)
        if kept:
            found += _reasons(meter, kept)
        if beyond:
            found.append(Unreadable(meter, "", beyond, None, None))
    return sorted(found, key=lambda each: (-each.events, each.meter.code, each.reason))


Slice = tuple[int, int, date, int, int]
"""Meter, subject, day (UTC), events that are invalid, events in all that a reader of the day passes."""


def _slices(meters: Sequence[Meter], since: date) -> list[Slice]:
    """Days of subjects on which a meter has events that it cannot read, the latest first: of rollups and pending."""
    parts, values = [], []
    for meter in meters:
        judged = judged_sql(meter)
        parts.append(f"""
            SELECT {int(meter.pk)}, e.subject_id, (e.ts AT TIME ZONE 'UTC')::date, count(*), count(*)
            FROM metering_event e {judged.lateral.sql}
            WHERE {{chosen}} AND e.type_id = (SELECT id FROM metering_type WHERE name = %s) {judged.filters.sql}
              AND NOT ({judged.valid}) AND {NOT_VOIDED} GROUP BY 1, 2, 3""")
        values.append((judged.lateral.values, (meter.event_type, *judged.filters.values)))
    return []


def _bounded(slices: Sequence[Slice]) -> tuple[list[Slice], int]:
    """The latest slices that hold no more events than may be read, and how many invalid ones the others have."""
    kept: list[Slice] = []
    passed = 0
    for each in slices:
        passed += each[4]
        if kept and passed > LOOKED_AT:
            break
        kept.append(each)
    return kept, sum(each[3] for each in slices[len(kept) :])


def _run(statement: str, since: date, **values: Any) -> list[tuple[Any, ...]]:
    """Run a statement over what is pending, whose bounds are read first so that the planner knows them."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(min(batch), 0), coalesce(max(batch), -1) FROM metering_pending")
        low, high = cursor.fetchone()
        start = f"{since}T00:00:00+00:00"
        cursor.execute(statement, values | {"low": low, "high": high, "since": start, "day": since})
        return list(cursor.fetchall())
