"""Writing events: the `append` of the event store, in one statement per batch (docs/architecture.md, Usage).

The key table takes each `(source, id)` once, and only what it took goes into the event table, in the same statement.
Values travel as ready-made text, not as lists of Python objects, which psycopg would adapt one by one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from typing import Any, Final

import msgspec
import psycopg
from django.db import connection

from billing.metering.validate import SEPARATOR

FEW: Final = 256
"""Rows up to which the statement's plan is kept. PostgreSQL makes it for ten: with thousands it would be a poor one."""

NEVER: Final = 2**31
"""Runs after which psycopg prepares a statement by itself."""

_times: Final = msgspec.json.Encoder()  # a list of times in JSON is one for PostgreSQL, but for its brackets

_ROWS: Final = """
    SELECT n, digest, source_id, type_id, subject_id, sent, coalesce(sent, %(now)s::timestamptz) AS ts, id,
           data::jsonb AS data
    FROM unnest(%(n)s::int[], %(digest)s::uuid[], %(source)s::int[], %(type)s::int[], %(subject)s::int[],
                %(sent)s::timestamptz[], %(id)s::text[], string_to_array(%(data)s, E'\\x1e'))
         AS r(n, digest, source_id, type_id, subject_id, sent, id, data)
"""


def _content(table: str, sent: str) -> str:
    """SQL: 64 bits of what the sender sent (R1.1): equal JSON hashes equally, and a time not sent is no part of it."""
    return f"""(jsonb_hash_extended({table}.data, 0)
        # hashint4extended({table}.type_id, 1) # hashint4extended({table}.subject_id, 2)
        # coalesce(hashfloat8extended(date_part('epoch', {sent}), 3), 0))"""


# Keys go in by order of digest: two batches with the same keys then wait for each other and do not deadlock. A batch
# is made only when a key was new, so that a repeated request leaves nothing behind.
_APPEND: Final = f"""
    WITH r AS MATERIALIZED ({_ROWS}),
    k AS (
        INSERT INTO metering_key (digest, content, ts, subject_id, type_id)
        SELECT digest, {_content("r", "r.sent")}, ts, subject_id, type_id FROM r ORDER BY digest
        ON CONFLICT DO NOTHING RETURNING digest
    ),
    b AS (
        INSERT INTO metering_batch (recorded_at, origin, key_id, backfill_id, events)
        SELECT %(now)s::timestamptz, %(origin)s::text, %(key)s::int, %(backfill)s::int, count(*) FROM k
        HAVING count(*) > 0 RETURNING no
    ),
    e AS (
        INSERT INTO metering_event (batch, n, source_id, type_id, subject_id, ts, id, data)
        SELECT (SELECT no FROM b), r.n, r.source_id, r.type_id, r.subject_id, r.ts, r.id, r.data
        FROM r JOIN k USING (digest)
    ),
    p AS (
        INSERT INTO metering_pending (batch, hours)
        SELECT (SELECT no FROM b), array_agg(DISTINCT date_bin('1 hour', r.ts, '2000-01-01 00:00:00+00'))
        FROM r JOIN k USING (digest) HAVING count(*) > 0
    )
    SELECT (SELECT no FROM b), coalesce(array_agg(r.n) FILTER (WHERE k.digest IS NULL), '{{}}')
    FROM r LEFT JOIN k USING (digest)
"""
_KNOWN: Final = f"""
    WITH r AS MATERIALIZED ({_ROWS})
    SELECT r.n FROM r JOIN metering_key k USING (digest) WHERE k.content = {_content("r", "r.sent")}
"""
# The hash of jsonb may change with a major version of PostgreSQL, and then says nothing: the events decide. Only
# whether the first one named its time cannot be read from it, so that its own hash is asked. What a correction put in
# an event's place was never sent.
_EQUAL: Final = f"""
    WITH r AS MATERIALIZED ({_ROWS})
    SELECT r.n
    FROM r JOIN metering_key k USING (digest)
    JOIN metering_event e ON e.subject_id = k.subject_id AND e.type_id = k.type_id AND e.ts = k.ts
         AND e.source_id = r.source_id AND e.id = r.id
    WHERE e.data = r.data AND e.type_id = r.type_id AND e.subject_id = r.subject_id
      AND NOT EXISTS (SELECT 1 FROM billing_correction c WHERE c.batch = e.batch)
      AND CASE WHEN r.sent IS NULL THEN k.content <> {_content("e", "e.ts")} ELSE e.ts = r.sent END
"""


@dataclass(frozen=True, slots=True)
class Rows:
    """Events ready for the database, as columns: names as numbers, `sent` aware (None: not sent), `data` JSON text."""

    n: list[int]
    digest: list[str]
    source: list[int]
    type: list[int]
    subject: list[int]
    sent: list[datetime | None]
    id: list[str]
    data: Sequence[bytes | msgspec.Raw]

    def pick(self, at: Sequence[int]) -> "Rows":
        """The rows that stand at these positions."""
        columns: list[Any] = [self.n, self.digest, self.source, self.type, self.subject, self.sent, self.id, self.data]
        return Rows(*([column[position] for position in at] for column in columns))

    def __len__(self) -> int:
        return len(self.n)


@dataclass(frozen=True, slots=True)
class Appended:
    """What became of the rows: the batch's number, and the places of rows that were known and that contradict.

    No batch is made when nothing was new.
    """

    batch: int | None
    duplicates: list[int] = field(default_factory=list)
    conflicts: list[int] = field(default_factory=list)


def digest_of(source: int, event_id: str) -> str:
    """The key of `(source, id)`, as 32 hexadecimal digits."""
    return blake2b(f"{source}\0{event_id}".encode(), digest_size=16).hexdigest()


def append(rows: Rows, *, origin: str, key_id: int | None, now: datetime, backfill_id: int | None = None) -> Appended:
    """Store each row whose key is new, in one statement, and so in one transaction, the caller's or its own.

    Of rows with the same key in one batch the first counts; the others are held against what then stands.
    """
    first: dict[str, int] = {}
    for position, digest in enumerate(rows.digest):
        first.setdefault(digest, position)
    repeated = len(first) < len(rows)
    fresh = rows.pick(list(first.values())) if repeated else rows
    values = _parameters(fresh, now) | {"origin": origin, "key": key_id, "backfill": backfill_id}
    ((batch, left),) = _execute(_APPEND, values, prepare=len(fresh) <= FEW)
    if not left and not repeated:
        return Appended(batch)
    places = set(left)
    again = [
        position
        for position, (n, digest) in enumerate(zip(rows.n, rows.digest, strict=True))
        if n in places or first[digest] != position
    ]
    return Appended(batch, *_settle(rows.pick(again), now))


def _settle(rows: Rows, now: datetime) -> tuple[list[int], list[int]]:
    """Which rows repeat what is stored, and which contradict it, by their places in the request."""
    same = {n for (n,) in _execute(_KNOWN, _parameters(rows, now))}
    differing = [position for position, n in enumerate(rows.n) if n not in same]
    if differing:
        same |= {n for (n,) in _execute(_EQUAL, _parameters(rows.pick(differing), now))}
    return sorted(same), [n for n in rows.n if n not in same]


def bad_data(rows: Rows) -> list[int]:
    """Places of rows whose data PostgreSQL cannot hold (a number of a million digits); asks half by half."""
    try:
        _try_data(rows)
    except psycopg.DataError:
        if len(rows) == 1:
            return rows.n
        middle = len(rows) // 2
        halves = rows.pick(range(middle)), rows.pick(range(middle, len(rows)))
        return [n for half in halves for n in bad_data(half)]
    return []


def _try_data(rows: Rows) -> None:
    """Raise psycopg.DataError when a row's data is no jsonb, leaving the transaction as it was."""
    raw = connection.connection
    data = SEPARATOR.join(rows.data).decode()
    with raw.transaction(), psycopg.Cursor(raw) as cursor:
        cursor.execute("SELECT count(d::jsonb) FROM unnest(string_to_array(%s, E'\\x1e')) AS d", [data])


def _parameters(rows: Rows, now: datetime) -> dict[str, Any]:
    """The rows as one array literal per column."""
    return {
        "now": now,
        "n": _array(map(str, rows.n)),
        "digest": _array(rows.digest),
        "source": _array(map(str, rows.source)),
        "type": _array(map(str, rows.type)),
        "subject": _array(map(str, rows.subject)),
        "sent": "{" + _times.encode(rows.sent).decode()[1:-1] + "}",
        "id": _texts(rows.id),
        "data": SEPARATOR.join(rows.data).decode(),
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


def _execute(statement: str, values: dict[str, Any], *, prepare: bool = False) -> list[tuple[Any, ...]]:
    """Run a statement with values bound by the server: Django's own cursor would write them into the statement.

    With `prepare` the server keeps its plan, unless a pooler in between may give the next one to another server.
    """
    connection.ensure_connection()
    raw = connection.connection
    if raw.prepare_threshold is None and not connection.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS"):
        raw.prepare_threshold = NEVER
    with connection.wrap_database_errors, psycopg.Cursor(raw) as cursor:
        cursor.execute(statement, values, prepare=prepare)
        return cursor.fetchall()
