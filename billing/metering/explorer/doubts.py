"""Whose usage deserves a second look before it is billed: what a meter cannot read, and what no meter counts (R1.3).

The days that rollups keep tell, and what is pending; the number of statements does not grow with customers.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from django.db import connection
from django.db.models import Exists, OuterRef

from billing.metering.asking import Known
from billing.metering.explorer.judging import NOT_VOIDED
from billing.metering.models import EventType, Meter
from billing.periods import Period

_PENDING: Final = f"""
    SELECT e.subject_id, e.type_id, (e.ts AT TIME ZONE 'UTC')::date AS day, count(*) AS n, NULL::bigint AS position,
           bool_and(e.batch = ANY(%(known)s::bigint[])) AS known
    FROM metering_event e JOIN claims c ON c.subject_id = e.subject_id
    WHERE e.batch >= %(low)s AND e.batch <= %(high)s AND e.ts >= %(start)s AND e.ts < %(end)s
      AND e.batch IN (SELECT batch FROM metering_pending) AND {NOT_VOIDED}
    GROUP BY 1, 2, 3"""
_CLAIMS: Final = """
    claims AS MATERIALIZED (
        SELECT c.customer_id, s.id AS subject_id, tstzrange(c.valid_from, c.valid_to) AS valid
        FROM customers_usagesubject c JOIN metering_subject s ON s.name = c.subject
        WHERE c.customer_id = ANY(%(customers)s))"""


@dataclass(frozen=True, slots=True)
class Uncounted:
    """Events of a customer on a day (UTC) whose type no meter counts; `position` is None while they are pending."""

    customer_id: int
    type: str
    day: date
    events: int
    position: int | None
    known: bool


def doubtful(customer_ids: Collection[int], period: Period) -> set[int]:
    """Customers who may have events in a period that a meter cannot read: rollups say so, or cannot tell yet.

    Two statements. Whoever is not among them has none.
    """
    meters = Meter.objects.current().exclude(aggregation=Meter.Aggregation.COUNT)
    ready = [rollup for rollup, done in meters.values_list("rollup", "rollup_ready") if done]
    if len(ready) < len(meters):
        return set(customer_ids)
    statement = f"""
        WITH {_CLAIMS}
        SELECT DISTINCT c.customer_id FROM claims c JOIN metering_day d ON d.subject_id = c.subject_id
        WHERE d.rollup = ANY(%(rollups)s) AND d.invalid > 0
          AND d.bucket >= %(start)s::timestamptz - interval '1 day' AND d.bucket < %(end)s
        UNION SELECT DISTINCT c.customer_id FROM metering_event e JOIN claims c ON c.subject_id = e.subject_id
        WHERE e.batch >= %(low)s AND e.batch <= %(high)s AND e.ts >= %(start)s AND e.ts < %(end)s
          AND e.batch IN (SELECT batch FROM metering_pending)"""
    return {customer for (customer,) in _run(statement, customer_ids, period, rollups=ready)}


def uncounted(customer_ids: Collection[int], period: Period, known: Known | None = None) -> list[Uncounted]:
    """Events of customers in a period, to the day, of types that no meter counts; three statements at most.

    `known` tells of what is pending whether it was known then.
    """
    counted = Meter.objects.filter(event_type=OuterRef("name"))
    types = list(EventType.objects.exclude(Exists(counted)).values_list("pk", flat=True))
    if not types:
        return []
    statement = f"""
        WITH {_CLAIMS},
        both_of AS (
            SELECT a.subject_id, a.type_id, a.day, a.n, a.position, false AS known
            FROM metering_activity a JOIN claims c ON c.subject_id = a.subject_id
            WHERE a.day >= %(first)s AND a.day <= %(last)s AND a.n > 0
            UNION ALL {_PENDING})
        SELECT c.customer_id, t.name, b.day, b.n::bigint, b.position, b.known
        FROM both_of b JOIN claims c ON c.subject_id = b.subject_id JOIN metering_type t ON t.id = b.type_id
        WHERE b.type_id = ANY(%(types)s)
          AND c.valid && tstzrange(b.day::timestamp AT TIME ZONE 'UTC', (b.day + 1)::timestamp AT TIME ZONE 'UTC')
        ORDER BY 1, 2, 3"""
    pending = list(known.pending) if known else []
    return [Uncounted(*row) for row in _run(statement, customer_ids, period, types=types, known=pending)]


def happened(customer_ids: Collection[int], period: Period) -> dict[int, int]:
    """How many events of any type each customer had in a period, to the day, as far as rollups know them."""
    statement = f"""
        WITH {_CLAIMS}
        SELECT c.customer_id, sum(a.n)::bigint FROM metering_activity a JOIN claims c ON c.subject_id = a.subject_id
        WHERE a.day >= %(first)s AND a.day <= %(last)s
          AND c.valid && tstzrange(a.day::timestamp AT TIME ZONE 'UTC', (a.day + 1)::timestamp AT TIME ZONE 'UTC')
        GROUP BY 1"""
    return dict(_run(statement, customer_ids, period))


def _run(statement: str, customer_ids: Collection[int], period: Period, **values: Any) -> Sequence[tuple[Any, ...]]:
    """Run a statement over what is pending, whose bounds are read first so that the planner knows them."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(min(batch), 0), coalesce(max(batch), -1) FROM metering_pending")
        low, high = cursor.fetchone()
        bounds = {"start": period.start, "end": period.until, "first": period.start.date(), "last": period.until.date()}
        cursor.execute(statement, values | bounds | {"low": low, "high": high, "customers": sorted(customer_ids)})
        return list(cursor.fetchall())
