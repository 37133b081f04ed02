"""How many events came, and what counts for nobody: from the days that rollups keep, never from all events.

A day that a claim cuts is counted from its subject's events. What is pending is counted from its batches.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from django.db import connection
from django.db.models import Exists, OuterRef

from billing.metering.explorer.judging import NOT_VOIDED
from billing.metering.models import EventType, Meter

_PENDING: Final = f"""
    pending AS MATERIALIZED (
        SELECT e.subject_id, e.type_id, (e.ts AT TIME ZONE 'UTC')::date AS day, count(*) AS n,
               min(e.ts) AS first_ts, max(e.ts) AS last_ts
        FROM metering_event e
        WHERE e.batch >= %(low)s AND e.batch <= %(high)s AND e.ts >= %(since)s
          AND e.batch IN (SELECT batch FROM metering_pending) AND {NOT_VOIDED}
        GROUP BY 1, 2, 3)"""


@dataclass(frozen=True, slots=True)
class Unmatched:
    """Events that count for nobody: their subject or type, how many, the first and the last."""

    name: str
    events: int
    first: datetime
    last: datetime


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
    counted = Meter.objects.filter(event_type=OuterRef("name"))
    types = list(EventType.objects.exclude(Exists(counted)).values_list("pk", flat=True))
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


def events_by_day(since: date) -> list[tuple[date, int]]:
    """How many events happened on each day (UTC) since one, of all subjects; days without are left out."""
    statement = f"""
        WITH {_PENDING}
        SELECT day, sum(n)::bigint
        FROM (SELECT day, n FROM metering_activity WHERE day >= %(day)s AND n > 0
              UNION ALL SELECT day, n FROM pending) a
        GROUP BY day ORDER BY day
    """
    return _run(statement, since)


def busiest(event_type: str, first: date, last: date, limit: int) -> list[int]:
    """The customers whose subjects had most events of a type on these days (UTC), as far as rollups know them."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT c.customer_id FROM (
                   SELECT subject_id, sum(n) AS n FROM metering_activity
                   WHERE type_id = (SELECT id FROM metering_type WHERE name = %s) AND day >= %s AND day <= %s
                   GROUP BY subject_id) a
               JOIN metering_subject s ON s.id = a.subject_id JOIN customers_usagesubject c ON c.subject = s.name
               GROUP BY c.customer_id ORDER BY sum(a.n) DESC, c.customer_id LIMIT %s""",
            [event_type, first, last, limit],
        )
        return [pk for (pk,) in cursor.fetchall()]


def active_days(asked: Collection[tuple[int, date, date]]) -> dict[tuple[int, date, date], set[date]]:
    """The days (UTC) with events of any type, as far as rollups know them, of customers from a day to a day; one query.

    Nothing of those who had none on the first day.
    """
    customers, firsts, lasts = zip(*asked, strict=True) if asked else ((), (), ())
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT w.customer, w.first, w.last, array_agg(DISTINCT a.day)
               FROM unnest(%s::bigint[], %s::date[], %s::date[]) w(customer, first, last)
               JOIN customers_usagesubject c ON c.customer_id = w.customer
               JOIN metering_subject s ON s.name = c.subject
               JOIN metering_activity a ON a.subject_id = s.id AND a.day BETWEEN w.first AND w.last AND a.n > 0
               WHERE EXISTS (
                   SELECT FROM customers_usagesubject c1 JOIN metering_subject s1 ON s1.name = c1.subject
                   JOIN metering_activity a1 ON a1.subject_id = s1.id AND a1.day = w.first AND a1.n > 0
                   WHERE c1.customer_id = w.customer)
               GROUP BY 1, 2, 3""",
            [list(customers), list(firsts), list(lasts)],
        )
        return {(customer, first, last): set(days) for customer, first, last, days in cursor.fetchall()}


def _run(statement: str, since: date, **values: Any) -> list[tuple[Any, ...]]:
    """Run a statement over what is pending, whose bounds are read first so that the planner knows them."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(min(batch), 0), coalesce(max(batch), -1) FROM metering_pending")
        low, high = cursor.fetchone()
        start = f"{since}T00:00:00+00:00"
        cursor.execute(statement, values | {"low": low, "high": high, "since": start, "day": since})
        return list(cursor.fetchall())
