"""Which months of events are detached, so that nothing counts them as zero; how large the others are."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from django.db import connection

from billing.metering.months.errors import MonthDetached, NoSuchMonth
from billing.metering.partitions import table_of
from billing.periods import Period

LOCK: Final = 0x6D6F_6E74
"""Advisory lock "mont": its second number is the month. Whoever exports, detaches or restores a month holds it."""

SMALL: Final = 8_000_000
"""Bytes of a table up to which its events are counted, and not estimated."""

# One row always, and in the same statement, that is the same snapshot, as what is read: a month that is detached or
# restored meanwhile is either read or refused, and never missing.
_GONE: Final = """
    SELECT array_agg(to_char(month, 'YYYY-MM') ORDER BY month) AS months FROM metering_month m
    WHERE state = 'detached' AND EXISTS (
        SELECT 1 FROM (
            SELECT * FROM unnest(%s::timestamptz[], %s::timestamptz[]) AS a(lo, hi)
            UNION ALL
            SELECT * FROM unnest(%s::timestamptz[], %s::timestamptz[]) AS b(lo, hi) WHERE {when}
        ) p
        WHERE p.lo < (m.month::timestamp + interval '1 month') AT TIME ZONE 'UTC'
          AND p.hi > m.month::timestamp AT TIME ZONE 'UTC'
    )
"""
Run = Callable[[str, Sequence[Any]], list[tuple[Any, ...]]]


def run(statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Run a SELECT through Django's own cursor; `bound.ask` is the other way."""
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


Bounds = tuple[datetime | str, datetime | str]
"""From (inclusive) and to (exclusive): instants, or texts that PostgreSQL reads as such (“infinity”)."""


def read(
    statement: str, values: Sequence[Any], periods: Iterable[Bounds], *,
    maybe: Iterable[Bounds] = (), when: str = "false", when_values: Sequence[Any] = (), run: Run = run,
) -> list[tuple[Any, ...]]:  # fmt: skip
    """The rows of a SELECT that reads events of these periods; MonthDetached when one of their months is detached.

    It reads events of the periods `maybe` only when the SQL condition `when` holds. Everything that reads events
    themselves goes through here, or asks `require` afterwards in the same transaction.
    """
    gone = _GONE.replace("{when}", when)
    rows = run(
        f"""SELECT gone.months, answer.* FROM ({gone}) gone
            LEFT JOIN (SELECT true AS found, a.* FROM ({statement}) a) answer ON true""",
        [*_columns(periods), *_columns(maybe), *when_values, *values],
    )
    if rows[0][0]:
        raise MonthDetached(rows[0][0])
    return [row[2:] for row in rows if row[1]]


def require(periods: Iterable[Period]) -> None:
    """MonthDetached when a month that one of the periods touches is detached. One query.

    For what reads events with statements of its own: ask after them, in their transaction, which keeps every month
    that they read from being detached.
    """
    read("SELECT true", [], [bounds(period) for period in periods])


def _columns(periods: Iterable[Bounds]) -> list[str]:
    """Bounds, each pair once, as two array literals."""
    pairs = set(periods)
    return ["{" + ",".join(str(pair[place]) for pair in pairs) + "}" for place in (0, 1)]


def bounds(period: Period) -> Bounds:
    """A period for `read`."""
    return period.start, period.end or "infinity"


def first_day(month: str) -> date:
    """The first day of a month as people write it ("2023-11"). NoSuchMonth when it is none."""
    if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", month) or month.startswith("0000"):
        raise NoSuchMonth(month)
    return date.fromisoformat(f"{month}-01")


def detached_with(type_id: int) -> bool:
    """Whether events of a type lie in detached months: a month is detached only once its activity is counted."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT EXISTS (
                   SELECT 1 FROM metering_month m JOIN metering_activity a
                       ON a.day >= m.month AND a.day < m.month + interval '1 month' AND a.type_id = %s
                   WHERE m.state = 'detached')""",
            [type_id],
        )
        found: bool = cursor.fetchone()[0]
    return found


@dataclass(frozen=True, slots=True)
class Size:
    """The table of a month: its bytes with indexes, and its events, counted or estimated."""

    bytes: int
    events: int
    exact: bool


def sizes(months: Iterable[date]) -> dict[date, Size]:
    """How large the tables of these months are; a month without a table has none. Two queries.

    Tables of up to 8 MB are counted; of larger ones the database's statistics give the events.
    """
    tables = {table_of(f"{month:%Y-%m}"): month for month in months}
    found: dict[date, Size] = {}
    small: list[str] = []
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT c.relname, pg_total_relation_size(c.oid), pg_relation_size(c.oid),
                      CASE WHEN c.reltuples > 0 AND c.relpages > 0
                           THEN (c.reltuples::numeric / c.relpages * pg_relation_size(c.oid) / 8192)::bigint
                           ELSE pg_relation_size(c.oid) / 200 END
               FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid
               WHERE i.inhparent = 'metering_event'::regclass AND c.relname = ANY(%s)""",
            [list(tables)],
        )
        for table, whole, heap, guess in cursor.fetchall():
            found[tables[table]] = Size(whole, guess, exact=False)
            if heap <= SMALL:
                small.append(table)
        if small:
            cursor.execute(" UNION ALL ".join(f"SELECT '{table}', count(*) FROM {table}" for table in small))
            for table, count in cursor.fetchall():
                found[tables[table]] = Size(found[tables[table]].bytes, count, exact=True)
    return found


def busy() -> set[date]:
    """Months that somebody exports, detaches or restores just now, in whatever process."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT DISTINCT objid::int FROM pg_locks
               WHERE locktype = 'advisory' AND classid = %s AND objsubid = 2 AND granted
                 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())""",
            [LOCK],
        )
        return {date((number - 1) // 12, (number - 1) % 12 + 1, 1) for (number,) in cursor.fetchall()}
