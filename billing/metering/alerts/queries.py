"""Daily usage of many customers at once, from the days of the rollups: one statement, whatever their number."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from django.db import connection

from billing.metering.alerts.rules import HISTORY, Day

# A claim that begins or ends within a day counts for whole days only: for an alert that is near enough. A value is
# what a sum came to; of other aggregations, whose days do not add up over subjects (R2.3), the events are counted.
_DAYS = """
    SELECT c.customer_id, m.id, (d.bucket AT TIME ZONE 'UTC')::date, sum(d.n)::bigint,
           CASE WHEN m.aggregation = 'sum' THEN coalesce(sum(d.total), 0) ELSE sum(d.n) END
    FROM customers_usagesubject c JOIN metering_subject s ON s.name = c.subject
    JOIN billing_meter m ON m.rollup_ready AND m.superseded_at IS NULL
    JOIN metering_day d ON d.rollup = m.rollup AND d.subject_id = s.id AND d.bucket >= %s AND d.bucket < %s
         AND (c.valid_from IS NULL OR d.bucket >= c.valid_from) AND (c.valid_to IS NULL OR d.bucket < c.valid_to)
    WHERE c.customer_id = ANY(%s) GROUP BY c.customer_id, m.id, d.bucket HAVING sum(d.n) > 0
"""


def series(customer_ids: Sequence[int], today: datetime) -> dict[tuple[int, int], list[Day]]:
    """The 29 days (UTC) before `today`, oldest first, of each customer and meter that had usage in them.

    From what is rolled up: events of a whole day that are still pending are some seconds late. Meters whose rollup is
    being built have no days yet.
    """
    start = today.astimezone(UTC) - timedelta(days=HISTORY + 1)
    found: dict[tuple[int, int], list[Day]] = {}
    with connection.cursor() as cursor:
        cursor.execute(_DAYS, [start, today, list(customer_ids)])
        for customer, meter, day, events, value in cursor.fetchall():
            days = found.setdefault((customer, meter), [Day()] * (HISTORY + 1))
            days[(day - start.date()).days] = Day(events, value)
    return found
