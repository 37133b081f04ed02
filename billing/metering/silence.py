"""Meters that count nothing of late: read before a price is published that counts with one."""

from collections.abc import Collection
from datetime import datetime

from django.db import connection

# A meter whose rollup is being built is judged by the events of its type. What is pending counts by its type as well.
_SILENT = """
    SELECT m.id FROM billing_meter m LEFT JOIN metering_type t ON t.name = m.event_type
    CROSS JOIN LATERAL (SELECT CASE WHEN m.recurring THEN '-infinity' ELSE %(since)s::timestamptz END AS ts) since
    WHERE m.id = ANY(%(meters)s)
      AND NOT EXISTS (SELECT 1 FROM metering_event e JOIN metering_pending p USING (batch)
                      WHERE e.type_id = t.id AND e.ts >= since.ts)
      AND NOT CASE WHEN m.rollup_ready
          THEN EXISTS (SELECT 1 FROM metering_day d WHERE d.rollup = m.rollup AND d.bucket >= since.ts AND d.n > 0)
            OR EXISTS (SELECT 1 FROM metering_day_value d WHERE d.rollup = m.rollup AND d.bucket >= since.ts)
          ELSE EXISTS (SELECT 1 FROM metering_activity a WHERE a.type_id = t.id AND a.last_ts >= since.ts) END
"""


def silent(meter_ids: Collection[int], since: datetime) -> set[int]:
    """Which of these meters counted no event that happened since an instant (days are UTC); one query.

    One that carries its value forward (seats, storage) is silent only if it never counted any.
    """
    if not meter_ids:
        return set()
    with connection.cursor() as cursor:
        cursor.execute(_SILENT, {"since": since, "meters": list(meter_ids)})
        return {row[0] for row in cursor.fetchall()}
