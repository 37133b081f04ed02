"""Which usage became known after a position: what it costs grows with that, and not with what was known before."""

from collections.abc import Iterable
from datetime import datetime

from django.db import connection

from billing.metering.rollups.buckets import BATCHES, batches_literal


def changed_after(position: int, until: datetime) -> dict[str, datetime]:
    """The subjects of which usage before `until` became known after a position, each with the earliest time of it.

    What is pending counts as later; corrections count where they took something back, or put it. Three queries.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT coalesce(array_agg(batch), '{}') FROM (
                   SELECT no AS batch FROM metering_batch WHERE position > %s
                   UNION SELECT batch FROM metering_pending) later""",
            [position],
        )
        (batches,) = cursor.fetchone()
    return _subjects(batches, until) if batches else {}


def _subjects(batches: Iterable[int], until: datetime) -> dict[str, datetime]:
    """Of events in batches, and of hours that corrections among them touched."""
    found = sorted(batches)
    literal = batches_literal(found)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT s.name, min(c.ts) FROM (
                    SELECT e.subject_id, min(e.ts) AS ts FROM metering_event e WHERE {BATCHES} GROUP BY 1
                    UNION ALL
                    SELECT h.subject_id, h.hour FROM metering_corrected_hour h
                    WHERE h.batch = ANY(%s::bigint[]) AND h.hour < %s) c
                JOIN metering_subject s ON s.id = c.subject_id GROUP BY 1""",
            [literal, found[0], found[-1], "-infinity", until, literal, until],
        )
        return dict(cursor.fetchall())
