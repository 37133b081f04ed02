"""Month tables of the event table, made when the first event of a month (UTC) comes."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from typing import Final

from django.db import connection, transaction

from billing.metering import waiting
from billing.metering.errors import TooManyNewMonths

MOST_NEW: Final = 120
"""Months that one batch makes at most: ten years of usage come in at once, and no sender floods the database."""

_LOCK: Final = 0x6D6574_6572  # advisory lock "meter": its second number is the month
_made: set[str] = set()


def ensure(months: Iterable[str]) -> None:
    """Make the month tables for `months` ("2023-11") that do not exist yet; no query for those this process knows.

    A table is built apart and attached, which takes no lock that readers or writers of other months wait for. Two
    first events of a month wait for each other by an advisory lock. Remembered once committed. TooManyNewMonths names
    the earliest of those that would be made beyond `MOST_NEW`; then none is.
    """
    missing = sorted(set(months) - _made)
    if not missing:
        return
    if len(missing) > MOST_NEW and (beyond := _new(missing)[:-MOST_NEW]):
        raise TooManyNewMonths(beyond)
    with transaction.atomic():
        waiting.limit()
        for month in missing:
            _make(month)
        transaction.on_commit(lambda: _made.update(missing))


def _new(months: Sequence[str]) -> list[str]:
    """Those of the months that have no table, in order."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'metering_event'::regclass")
        tables = {table for (table,) in cursor.fetchall()}
    return [month for month in months if table_of(month) not in tables]


def of(times: Sequence[datetime]) -> set[str]:
    """The months, as `ensure` takes them, of instants (aware)."""
    if not times:
        return set()
    first, last = min(times).astimezone(UTC), max(times).astimezone(UTC)
    if (first.year, first.month) == (last.year, last.month):  # as nearly always: no look at each
        return {f"{first:%Y-%m}"}
    return {f"{time.astimezone(UTC):%Y-%m}" for time in times}


def forget() -> None:
    """Look again which months exist: for when one was detached or dropped."""
    _made.clear()


def exists(month: str) -> bool:
    """Whether the month has a table."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM pg_inherits WHERE inhrelid = to_regclass(%s) AND inhparent = 'metering_event'::regclass",
            [table_of(month)],
        )
        return cursor.fetchone() is not None


def table_of(month: str) -> str:
    """The name of the month's table: "metering_event_2023_11"."""
    first = date.fromisoformat(f"{month}-01")
    return f"metering_event_{first:%Y_%m}"


def _make(month: str) -> None:
    """Make and attach one month's table unless it is there."""
    table = table_of(month)
    first = date.fromisoformat(f"{month}-01")
    following = date(first.year + first.month // 12, first.month % 12 + 1, 1)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK * 100_000 + first.year * 12 + first.month])
        if exists(month):
            return
        cursor.execute("INSERT INTO metering_month (month) VALUES (%s) ON CONFLICT (month) DO NOTHING", [first])
        cursor.execute(f"CREATE TABLE {table} (LIKE metering_event INCLUDING ALL)")
        cursor.execute(
            f"ALTER TABLE metering_event ATTACH PARTITION {table}"
            f" FOR VALUES FROM ('{first} 00:00:00+00') TO ('{following} 00:00:00+00')"
        )
