"""The latest events of a type, whoever they are of, found quickly however many are stored.

No index leads from a type to its events: ingest would pay for it with every event. The newest lie at the end of the
month tables, which answers for a type that is common; the days on which a rare one was seen are known from activity.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from django.db import OperationalError, connection, transaction

from billing.metering.cases import read_json
from billing.metering.errors import PreviewTooSlow
from billing.metering.meters.preview import SampledEvent
from customers.models import UsageSubject

LIMIT: Final = 100
MILLISECONDS: Final = 300
"""How long each of the statements may take."""

_MONTHS: Final = 6
_PAGES: Final = (200, 2000)  # of 8 kB at the end of each month's table; the second look only where the first fell short
_KNOWN_TYPES: Final = 200

_COLUMNS: Final = """source.name, e.id, s.name, e.ts, e.batch, e.n, e.data::text,
    EXISTS (SELECT 1 FROM metering_voided v WHERE v.batch = e.batch AND v.n = e.n)"""
_NAMES: Final = "JOIN metering_source source ON source.id = e.source_id JOIN metering_subject s ON s.id = e.subject_id"


def latest_of(event_type: str, *, limit: int = LIMIT) -> list[SampledEvent]:
    """The latest events of a type, newest first; PreviewTooSlow when they are not found in time."""
    type_id = _type_id(event_type)
    if type_id is None:
        return []
    tables = _newest_tables()
    rows: list[tuple[Any, ...]] = []
    for pages in _PAGES:
        rows = _at_the_end(tables, pages, type_id, limit, event_type)
        if len(rows) >= limit or all(size <= pages for _, size in tables):
            break
    else:
        try:
            rows = _by_activity(type_id, limit, event_type) or rows
        except PreviewTooSlow:
            if not rows:
                raise
    return [
        SampledEvent(source, id_, subject, time, batch, n, read_json(data), voided)
        for source, id_, subject, time, batch, n, data, voided in rows
    ]


def claimants(events: Sequence[SampledEvent]) -> Callable[[SampledEvent], str | None]:
    """Who claims the subject of each of these events at its time; one query."""
    claims: dict[str, list[UsageSubject]] = {}
    for claim in UsageSubject.objects.filter(subject__in={event.subject for event in events}).select_related(
        "customer"
    ):
        claims.setdefault(claim.subject, []).append(claim)

    def claimant(event: SampledEvent) -> str | None:
        for claim in claims.get(event.subject, []):
            if (not claim.valid_from or claim.valid_from <= event.time) and (
                not claim.valid_to or event.time < claim.valid_to
            ):
                return str(claim.customer)
        return None

    return claimant


def known_types() -> list[str]:
    """Types of events that were ever received, by name; the first two hundred."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM metering_type ORDER BY name LIMIT %s", [_KNOWN_TYPES])
        return [name for (name,) in cursor.fetchall()]


def _type_id(event_type: str) -> int | None:
    """The number of a type; None for one that was never received."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM metering_type WHERE name = %s", [event_type])
        row = cursor.fetchone()
    return row[0] if row else None


def _newest_tables() -> list[tuple[str, int]]:
    """The latest month tables that hold events, with their pages."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT c.oid::regclass::text, pg_relation_size(c.oid) / current_setting('block_size')::int AS pages
               FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
               WHERE i.inhparent = 'metering_event'::regclass AND pg_relation_size(c.oid) > 0
               ORDER BY c.relname DESC LIMIT %s""",
            [_MONTHS],
        )
        return list(cursor.fetchall())


def _at_the_end(
    tables: Sequence[tuple[str, int]], pages: int, type_id: int, limit: int, event_type: str
) -> list[tuple[Any, ...]]:
    """The latest events of a type among those that stand in the last pages of the tables."""
    if not tables:
        return []
    parts = " UNION ALL ".join(
        f"SELECT * FROM {table} WHERE ctid >= '({max(0, size - pages)},0)'::tid AND type_id = %s"
        for table, size in tables
    )
    statement = f"""SELECT {_COLUMNS} FROM (SELECT * FROM ({parts}) t ORDER BY ts DESC, batch DESC, n DESC LIMIT %s) e
                    {_NAMES} ORDER BY e.ts DESC, e.batch DESC, e.n DESC"""
    return _timed(statement, [*(type_id for _ in tables), limit], event_type)


def _by_activity(type_id: int, limit: int, event_type: str) -> list[tuple[Any, ...]]:
    """The latest events of a type by the days on which subjects had any; a hundred days hold the last hundred."""
    statement = f"""
        SELECT {_COLUMNS} FROM (
            SELECT f.* FROM (SELECT subject_id, type_id, first_ts, last_ts FROM metering_activity
                             WHERE type_id = %s ORDER BY last_ts DESC LIMIT %s) a
            CROSS JOIN LATERAL (SELECT * FROM metering_event x
                                WHERE x.subject_id = a.subject_id AND x.type_id = a.type_id
                                  AND x.ts >= a.first_ts AND x.ts <= a.last_ts ORDER BY x.ts DESC LIMIT %s) f
            ORDER BY f.ts DESC, f.batch DESC, f.n DESC LIMIT %s) e
        {_NAMES} ORDER BY e.ts DESC, e.batch DESC, e.n DESC"""
    return _timed(statement, [type_id, limit, limit, limit], event_type)


def _timed(statement: str, values: Sequence[Any], event_type: str) -> list[tuple[Any, ...]]:
    """Run a statement that is given up when it takes too long."""
    try:
        with transaction.atomic(), _limited_time(), connection.cursor() as cursor:
            cursor.execute(statement, values)
            return list(cursor.fetchall())
    except OperationalError as error:
        if "statement timeout" not in str(error):
            raise
        raise PreviewTooSlow(event_type) from None


@contextmanager
def _limited_time() -> Iterator[None]:
    """A limit for the statements within; the one before holds again after them, also in a caller's transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('statement_timeout')")
        before = cursor.fetchone()[0]
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", [str(MILLISECONDS)])
        yield
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", [before])
