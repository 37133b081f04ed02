"""What the tests of months share: events of November 2023, seen from a time when that month may go."""

from datetime import UTC, datetime
from typing import Any

from django.db import connection

from billing.metering import partitions
from billing.metering.rollups.services import catch_up
from billing.periods import Period
from tests import factories

NOW = datetime(2024, 3, 1, 12, tzinfo=UTC)
MONTH = "2023-11"
NOVEMBER = Period(datetime(2023, 11, 1, tzinfo=UTC), datetime(2023, 12, 1, tzinfo=UTC))
OCTOBER = Period(datetime(2023, 10, 1, tzinfo=UTC), datetime(2023, 11, 1, tzinfo=UTC))


def event(number: int, **fields: Any) -> dict[str, Any]:
    """An event of November, one a minute."""
    day, minute = divmod(number, 1440)
    time = f"2023-11-{day + 1:02}T{minute // 60:02}:{minute % 60:02}:00.{number % 1_000_000:06}Z"
    given = {"id": f"e{number}", "subject": "acme", "time": time, "data": {"tokens": number}}
    return given | fields


def send(*numbers: int, **fields: Any) -> Any:
    """Ingest events of these numbers, which are counted into rollups at once."""
    report = factories.send_events([event(number, **fields) for number in numbers], now=NOW)
    catch_up()
    return report


def rows(table: str = "metering_event") -> list[tuple[Any, ...]]:
    """Every event exactly as it is stored, data as PostgreSQL prints it."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT batch, n, source_id, type_id, subject_id, extract(epoch FROM ts), id, data::text
                FROM {table} ORDER BY batch, n"""
        )
        return cursor.fetchall()


def drop_months() -> None:
    """Take away the tables of months that a test which commits has left."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'metering_event'::regclass")
        for (table,) in cursor.fetchall():
            cursor.execute(f"DROP TABLE {table}")
    partitions.forget()
