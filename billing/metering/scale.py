"""A large book of usage for benchmarks: customers and events by COPY, the way ingest lays them out.

The same numbers make the same events. Customers are skewed as real ones are: with 10,000, the largest has about one
event in a hundred.
"""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from itertools import accumulate
from typing import Any, Final

import psycopg
from django.db import connection

from billing.metering import names, partitions
from billing.metering.models import Meter
from customers.models import Customer, UsageSubject

BATCH: Final = 1000
"""Events in one batch."""

CHUNK: Final = 50 * BATCH
"""Events in one transaction."""

SOURCE: Final = "seed_scale"
TYPES: Final = ("inference", "embedding", "search", "storage", "seat")
SKEW: Final = 31
METERS: Final[dict[str, dict[str, Any]]] = {
    "tokens": {
        "event_type": "inference", "aggregation": "sum", "value": "input_tokens + 4 * output_tokens",
        "group_by": ["model"], "unit": "token",
    },
    "embeddings": {"event_type": "embedding", "aggregation": "count", "unit": "call"},
    "largest-search": {"event_type": "search", "aggregation": "max", "value": "input_tokens", "unit": "token"},
    "stored": {"event_type": "storage", "aggregation": "latest", "value": "input_tokens", "unit": "GB"},
}  # fmt: skip
"""Meters of the book."""

"""Customer i (from 0) has a share in proportion to 1 / (2 i + SKEW)."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How much to make: `events` from `month`, its first instant (UTC), to `until`, for subjects of these ids."""

    events: int
    month: datetime
    until: datetime
    first_batch: int
    source: int
    types: tuple[int, ...]
    subjects: tuple[int, ...]

    @property
    def chunks(self) -> int:
        """Transactions that it takes."""
        return -(-self.events // CHUNK)


def make_customers(count: int, now: datetime) -> list[str]:
    """Customers that each claim one subject; their subjects, largest customer first."""
    subjects = [f"scale-{number:06d}" for number in range(count)]
    made = Customer.objects.bulk_create(
        [Customer(external_id=subject, legal_name=f"Customer {subject}", created_at=now) for subject in subjects],
        batch_size=BATCH,
    )
    UsageSubject.objects.bulk_create(
        [UsageSubject(customer=customer, subject=customer.external_id) for customer in made], batch_size=BATCH
    )
    return subjects


def prepare(events: int, subjects: Sequence[str], now: datetime) -> Scale:
    """Make the table of `now`'s month, in which the events lie; intern every name; reserve the batches' numbers."""
    month = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    partitions.ensure([f"{month:%Y-%m}"])
    ids = names.subjects.resolve(set(subjects))
    types = names.types.resolve(set(TYPES))
    batches = -(-events // BATCH)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_get_serial_sequence('metering_batch', 'no')")
        (sequence,) = cursor.fetchone()
        cursor.execute("SELECT nextval(%s)", [sequence])
        (first,) = cursor.fetchone()
        cursor.execute("SELECT setval(%s, %s)", [sequence, first + batches])
    return Scale(
        events=events,
        month=month,
        until=now,
        first_batch=first,
        source=names.sources.resolve({SOURCE})[SOURCE],
        types=tuple(types[name] for name in TYPES),
        subjects=tuple(ids[subject] for subject in subjects),
    )


def copy_chunk(scale: Scale, number: int, now: datetime) -> int:
    """Store the chunk of that number (from 0) in one transaction; how many events it had."""
    connection.ensure_connection()
    raw: psycopg.Connection = connection.connection
    with raw.transaction(), psycopg.Cursor(raw) as cursor:
        rows = list(_rows(scale, number))
        batches = sorted(Counter(row[0] for row in rows).items())
        lines = (f"{no}\t{now}\t{SOURCE}\t{count}\n" for no, count in batches)
        _copy(cursor, "metering_batch (no, recorded_at, origin, events)", lines)
        _copy(cursor, "metering_pending (batch, hours)", _pending(rows))
        _copy(cursor, "metering_key (digest, content, ts, subject_id, type_id)", (row[1] for row in rows))
        _copy(
            cursor,
            "metering_event (batch, n, source_id, type_id, subject_id, ts, id, data)",
            (row[2] for row in rows),
        )
    return len(rows)


def _copy(cursor: psycopg.Cursor, table: str, lines: Iterator[str]) -> None:
    with cursor.copy(f"COPY {table} FROM STDIN") as copy:
        copy.write("".join(lines))


def _pending(rows: Sequence[tuple[int, str, str]]) -> Iterator[str]:
    """What no rollup holds yet: each batch, with the hours that it touches."""
    hours: dict[int, set[str]] = {}
    for batch, _, line in rows:
        hours.setdefault(batch, set()).add(f"{line.split(chr(9))[5][:13]}:00:00+00:00")
    return (f"{batch}\t{{{','.join(sorted(found))}}}\n" for batch, found in hours.items())


def make_meters() -> None:
    """One meter for each aggregation that rollups keep in its own way."""
    for code, fields in METERS.items():
        Meter.objects.get_or_create(code=code, defaults={"name": code.replace("-", " ").capitalize(), **fields})


def _rows(scale: Scale, number: int) -> Iterator[tuple[int, str, str]]:
    """Batch, key line and event line of each event of a chunk. A content hash of 0 lets the events themselves decide
    when one is sent again."""
    dice = random.Random(number)  # noqa: S311  made-up usage, the same every time
    first = number * CHUNK
    count = min(CHUNK, scale.events - first)
    shares = list(accumulate(10**9 // (2 * rank + SKEW) for rank in range(len(scale.subjects))))
    subjects = dice.choices(scale.subjects, cum_weights=shares, k=count)
    types = dice.choices(scale.types, cum_weights=(60, 75, 88, 96, 100), k=count)
    step = (scale.until - scale.month) / scale.events
    for place in range(count):
        n = first + place
        ts = scale.month + step * n
        event_id, subject, type_id = f"scale-{n:010d}", subjects[place], types[place]
        digest = blake2b(f"{scale.source}\0{event_id}".encode(), digest_size=16).hexdigest()
        batch = scale.first_batch + n // BATCH
        data = f'{{"model": "m{n % 7}", "region": "eu", "input_tokens": {n % 4093}, "output_tokens": {n % 977}}}'
        yield (
            batch,
            f"{digest}\t0\t{ts}\t{subject}\t{type_id}\n",
            f"{batch}\t{n % BATCH}\t{scale.source}\t{type_id}\t{subject}\t{ts}\t{event_id}\t{data}\n",
        )
