"""Writing events: the `append` of the event store, in one statement per batch (EVENTS section 1).

The key table takes each `(source, id)` once, and only what it took goes into the event table, in the same statement.
Values travel as ready-made text, not as lists of Python objects, which psycopg would adapt one by one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, Final

import msgspec
import psycopg
from django.db import connection

SEPARATOR: Final = "\x1e"
"""Between the texts of `data`: JSON has no bare control characters but tab and line ends."""

_ROWS: Final = """
    SELECT n, digest, seed, source_id, type_id, subject_id, sent, coalesce(sent, %(now)s::timestamptz) AS ts, id,
           data::jsonb AS data
    FROM unnest(%(n)s::int[], %(digest)s::uuid[], %(seed)s::bigint[], %(source)s::int[], %(type)s::int[],
                %(subject)s::int[], %(sent)s::timestamptz[], %(id)s::text[], string_to_array(%(data)s, E'\\x1e'))
         AS r(n, digest, seed, source_id, type_id, subject_id, sent, id, data)
"""
# Keys go in by order of digest: two batches with the same keys then wait for each other and do not deadlock.
_APPEND: Final = f"""
    WITH r AS MATERIALIZED ({_ROWS}),
    b AS (
        INSERT INTO metering_batch (recorded_at, origin, key_id)
        VALUES (%(now)s, %(origin)s, %(key)s) RETURNING no
    ),
    k AS (
        INSERT INTO metering_key (digest, content, ts, subject_id, type_id)
        SELECT digest, jsonb_hash_extended(data, 0) # seed, ts, subject_id, type_id FROM r ORDER BY digest
        ON CONFLICT DO NOTHING RETURNING digest
    ),
    e AS (
        INSERT INTO metering_event (batch, n, source_id, type_id, subject_id, ts, id, data)
        SELECT (SELECT no FROM b), r.n, r.source_id, r.type_id, r.subject_id, r.ts, r.id, r.data
        FROM r JOIN k USING (digest)
    )
    SELECT (SELECT no FROM b), coalesce(array_agg(r.n) FILTER (WHERE k.digest IS NULL), '{{}}')
    FROM r LEFT JOIN k USING (digest)
"""
_KNOWN: Final = f"""
    WITH r AS MATERIALIZED ({_ROWS})
    SELECT r.n FROM r JOIN metering_key k USING (digest) WHERE k.content = jsonb_hash_extended(r.data, 0) # r.seed
"""
_STORED: Final = f"""
    WITH r AS MATERIALIZED ({_ROWS})
    SELECT r.n, e.ts, k.content # jsonb_hash_extended(e.data, 0),
           e.data = r.data AND k.type_id = r.type_id AND k.subject_id = r.subject_id AND e.ts = coalesce(r.sent, e.ts)
    FROM r JOIN metering_key k USING (digest)
    JOIN metering_event e ON e.subject_id = k.subject_id AND e.type_id = k.type_id AND e.ts = k.ts
         AND e.source_id = r.source_id AND e.id = r.id
"""


class Row(msgspec.Struct, frozen=True, gc=False):
    """An event ready for the database: names as numbers too, `sent` as `utc_text` (None: not sent), `data` as JSON."""

    n: int
    digest: str
    seed: int
    source: int
    type: int
    subject: int
    sent: str | None
    id: str
    data: str
    type_name: str
    subject_name: str


@dataclass(frozen=True, slots=True)
class Appended:
    """What became of the rows: the batch's number, and the places of rows that were known and that contradict."""

    batch: int
    duplicates: list[int] = field(default_factory=list)
    conflicts: list[int] = field(default_factory=list)


def seed_of(type_name: str, subject_name: str, sent: str | None) -> int:
    """64 signed bits of what was sent beside the data; the database mixes in its hash of the data (R1.1)."""
    text = f"{type_name}\0{subject_name}\0{sent or ''}"
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), signed=True)


def digest_of(source: int, event_id: str) -> str:
    """The key of `(source, id)`, as 32 hexadecimal digits."""
    return blake2b(f"{source}\0{event_id}".encode(), digest_size=16).hexdigest()


def append(rows: Sequence[Row], *, origin: str, key_id: int | None, now: datetime) -> Appended:
    """Store each row whose key is new; the caller holds the transaction, in which nothing is stored twice.

    Of rows with the same key in one batch the first counts; the others are held against what then stands.
    """
    first: dict[str, Row] = {}
    for row in rows:
        first.setdefault(row.digest, row)
    fresh = list(first.values())
    values = _parameters(fresh, now) | {"origin": origin, "key": key_id}
    ((batch, left),) = _execute(_APPEND, values)
    if not left and len(fresh) == len(rows):
        return Appended(batch)
    places = set(left)
    again = [row for row in rows if row.n in places or first[row.digest] is not row]
    duplicates, conflicts = _settle(again, now)
    return Appended(batch, duplicates, conflicts)


def _settle(rows: Sequence[Row], now: datetime) -> tuple[list[int], list[int]]:
    """Which rows repeat what is stored, and which contradict it; the events decide where the content's hash differs.

    The hash of jsonb may change with a major version of PostgreSQL: then it matches with no event, and is no evidence.
    """
    same = {n for (n,) in _execute(_KNOWN, _parameters(rows, now))}
    differing = [row for row in rows if row.n not in same]
    if differing:
        by_place = {row.n: row for row in differing}
        for n, ts, seed, equal in _execute(_STORED, _parameters(differing, now)):
            row = by_place[n]
            first_named_time = seed == seed_of(row.type_name, row.subject_name, utc_text(ts))
            if equal and (row.sent is not None or not first_named_time):
                same.add(n)
    return sorted(same), [row.n for row in rows if row.n not in same]


def bad_data(rows: Sequence[Row]) -> list[int]:
    """Places of rows whose data PostgreSQL cannot hold (a number of a million digits); asks half by half."""
    if not rows:
        return []
    try:
        _try_data(rows)
    except psycopg.DataError:
        if len(rows) == 1:
            return [rows[0].n]
        middle = len(rows) // 2
        return bad_data(rows[:middle]) + bad_data(rows[middle:])
    return []


def _try_data(rows: Sequence[Row]) -> None:
    """Raise psycopg.DataError when a row's data is no jsonb, leaving the transaction as it was."""
    text = SEPARATOR.join(row.data for row in rows)
    raw = connection.connection
    with raw.transaction(), psycopg.Cursor(raw) as cursor:
        cursor.execute("SELECT count(d::jsonb) FROM unnest(string_to_array(%s, E'\\x1e')) AS d", [text])


def utc_text(instant: datetime) -> str:
    """The one text of an instant, which content hashes and the database read: ISO 8601 in UTC."""
    return instant.astimezone(UTC).isoformat()


def _parameters(rows: Sequence[Row], now: datetime) -> dict[str, Any]:
    """The rows as one array literal per column."""
    return {
        "now": now,
        "n": _array(str(row.n) for row in rows),
        "digest": _array(row.digest for row in rows),
        "seed": _array(str(row.seed) for row in rows),
        "source": _array(str(row.source) for row in rows),
        "type": _array(str(row.type) for row in rows),
        "subject": _array(str(row.subject) for row in rows),
        "sent": _array(row.sent or "NULL" for row in rows),
        "id": _texts([row.id for row in rows]),
        "data": SEPARATOR.join(row.data for row in rows),
    }


def _array(items: Iterable[str]) -> str:
    """An array literal of items that need no quotes."""
    return "{" + ",".join(items) + "}"


def _texts(items: Sequence[str]) -> str:
    """An array literal of any texts."""
    joined = '","'.join(items)
    if "\\" in joined or joined.count('"') != 2 * (len(items) - 1):
        joined = '","'.join(item.replace("\\", "\\\\").replace('"', '\\"') for item in items)
    return '{"' + joined + '"}' if items else "{}"


def _execute(statement: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Run a statement with values bound by the server: Django's own cursor would write them into the statement."""
    connection.ensure_connection()
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall()
