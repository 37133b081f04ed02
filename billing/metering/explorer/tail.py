"""What arrived since one last looked: a sample of the newest events, and how many there were.

Batches commit in another order than their numbers say. So a watcher asks again for the last few hundred numbers, and
names those it has seen. Only the newest batches are read, through the index on the batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import connection

from billing.metering.explorer.events import COLUMNS, NAMES, Stored, read
from billing.metering.reports.models import EventConflict, EventReject

SAMPLE: Final = 50
"""Events shown of one look."""

BATCHES: Final = 100
"""Batches whose events are counted in one look; of those before them only the number is told."""

SAMPLED: Final = 20
"""Batches from which the sample is taken, the newest."""

OVERLAP: Final = 300
"""Numbers below the highest one seen among which a later commit is looked for."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events are watched: of a type, of subjects that contain a text, sent with a key. Empty: all."""

    type: str = ""
    subject: str = ""
    key_id: int | None = None


@dataclass(frozen=True, slots=True)
class Arrived:
    """A look: batches that are new (highest first), a sample of their events, and how many events they have.

    `passed_over` are new batches that were not read, because there were too many at once.
    """

    batches: tuple[int, ...]
    events: tuple[Stored, ...]
    count: int
    passed_over: int


def arrived(*, after: int | None, seen: Sequence[int], narrow: Filter) -> Arrived:
    """Batches beyond `after` less the overlap, without those `seen`; for `after` None the latest few."""
    limit = OVERLAP * 4 if after is not None else OVERLAP
    floor = -1 if after is None else max(0, after - OVERLAP)
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT no, key_id FROM metering_batch WHERE no > %s AND no <> ALL(%s::bigint[])
               ORDER BY no DESC LIMIT %s""",
            [floor, list(seen), limit],
        )
        rows = cursor.fetchall()
    batches = tuple(no for no, _ in rows)
    wanted = [no for no, key in rows if narrow.key_id is None or key == narrow.key_id]
    looked_at = wanted[:BATCHES] if after is not None else wanted[:SAMPLED]
    count, events = _read(looked_at, narrow) if looked_at else (0, [])
    return Arrived(batches, tuple(events), count, len(wanted) - len(looked_at) if after is not None else 0)


def conflicts(since: datetime, narrow: Filter) -> list[EventConflict]:
    """Ids that came again with another content since an instant, the latest first; at most a sample."""
    rows = EventConflict.objects.filter(last_seen__gt=since).select_related("source")
    if narrow.key_id is not None:
        rows = rows.filter(key=narrow.key_id)
    if narrow.type:
        rows = rows.filter(sent__type=narrow.type)
    if narrow.subject:
        rows = rows.filter(sent__subject__icontains=narrow.subject)
    return list(rows.order_by("-last_seen")[:SAMPLE])


def rejections(since: datetime, narrow: Filter) -> list[EventReject]:
    """What was refused since an instant, a row for each hour, key and reason, the latest first; at most a sample.

    Of what is refused neither type nor subject need be known: whoever asks for these gets none.
    """
    if narrow.type or narrow.subject:
        return []
    rows = EventReject.objects.filter(hour__gt=since - timedelta(hours=1), last_at__gt=since)
    if narrow.key_id is not None:
        rows = rows.filter(key=narrow.key_id)
    return list(rows.order_by("-last_at")[:SAMPLE])


def _read(batches: Sequence[int], narrow: Filter) -> tuple[int, list[Stored]]:
    """How many events the batches have, and a sample of the newest of them."""
    where, values = "", []
    if narrow.type:
        where += " AND e.type_id = (SELECT id FROM metering_type WHERE name = %s)"
        values.append(narrow.type)
    if narrow.subject:
        where += " AND e.subject_id IN (SELECT id FROM metering_subject WHERE name ILIKE %s)"
        values.append(f"%{_literal(narrow.subject)}%")
    with connection.cursor() as cursor:
        # The bounds let the index on the batch skip all but the newest pages; the sum keeps it from being asked for
        # each batch by itself.
        cursor.execute(
            f"""SELECT count(*) FROM metering_event e
                WHERE e.batch >= %s AND e.batch <= %s AND e.batch + 0 = ANY(%s::bigint[]) {where}""",
            [min(batches), max(batches), list(batches), *values],
        )
        count = cursor.fetchone()[0]
    newest = list(batches[:SAMPLED])
    statement = f"""
        SELECT {COLUMNS} FROM (
            SELECT * FROM metering_event e
            WHERE e.batch >= %s AND e.batch <= %s AND e.batch + 0 = ANY(%s::bigint[]) {where}
            ORDER BY e.batch DESC, e.n DESC LIMIT {SAMPLE}
        ) e {NAMES} ORDER BY e.batch DESC, e.n DESC
    """
    return count, read(statement, [min(newest), max(newest), newest, *values])


def _literal(text: str) -> str:
    """A text for LIKE that stands for itself."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
