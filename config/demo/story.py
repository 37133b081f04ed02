"""What the demo remembers in its database: that it is the demo's, when its story is set, and how far it was told.

One table outside the models, `meterbook_demo`: a row a step, written in the step's own transaction or after it is
known to be repeatable, so that a demo that was killed goes on where it was and counts nothing twice.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from django.db import connection, transaction

from customers.models import Customer

TABLE: Final = "meterbook_demo"
RUN_AT: Final = 14  # hour, UTC, of the first of a month at which it is billed: it is the first in each seller's zone
MONTHS: Final = 12
SEED: Final = 20231
_LOCK: Final = 7_002_023


class ForeignDatabase(Exception):
    """The database holds work that is not the demo's."""

    def __init__(self, customers: int, name: str) -> None:
        super().__init__(
            f"The database “{name}” holds {customers} customers that are not the demo's, and the demo leaves them"
            " alone. Name an empty database in DATABASE_URL or, for the embedded one, a new folder in METERBOOK_DATA."
        )


class BusyDatabase(Exception):
    """Another demo writes into the same database."""

    def __init__(self) -> None:
        super().__init__("Another demo is being made in this database: wait until it is done, then start again.")


@dataclass(frozen=True)
class Story:
    """When the demo is set, and how much of it is told.

    `now` is the instant of its first start: the last month of the story is the one that runs then. `events` is the
    number of usage events to make, `people` how many of the customers take part.
    """

    now: datetime
    events: int
    people: int
    months: int = MONTHS
    seed: int = SEED

    @property
    def current(self) -> date:
        """The first day of the month in progress: the last one whose first day is billed."""
        return (self.now - timedelta(hours=RUN_AT)).date().replace(day=1)

    def month(self, index: int) -> date:
        """The first day of the story's month of that index; that of `months` is in progress."""
        months = self.current.year * 12 + self.current.month - 1 - self.months + index
        return date(months // 12, months % 12 + 1, 1)

    def index_of(self, day: date) -> int:
        """The inverse of `month`, for any day of it."""
        return day.year * 12 + day.month - self.current.year * 12 - self.current.month + self.months

    def at(self, day: date, hour: int = RUN_AT) -> datetime:
        """An hour of a day, in UTC, at which the story's clock stands; never later than its present."""
        return min(datetime(day.year, day.month, day.day, hour, tzinfo=UTC), self.now)


def begin(*, now: datetime, events: int, people: int, months: int = MONTHS) -> tuple[Story, bool]:
    """The story of this database, and whether it is new; the arguments count for a new one alone.

    ForeignDatabase when there are customers and no story.
    """
    told = read()
    if told:
        return told, False
    with transaction.atomic():
        strangers = Customer.objects.count()
        if strangers:
            raise ForeignDatabase(strangers, connection.settings_dict["NAME"])
        story = Story(now.replace(microsecond=0), events, people, months)
        with connection.cursor() as cursor:
            cursor.execute(
                f"CREATE TABLE {TABLE} (step text PRIMARY KEY, detail jsonb NOT NULL,"
                " done_at timestamptz NOT NULL DEFAULT clock_timestamp())"
            )
        note(
            "story",
            {"now": story.now.isoformat(), "events": events, "people": people, "months": months, "seed": story.seed},
        )
    return story, True


def read() -> Story | None:
    """The story that this database holds, if it is a demo's."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [TABLE])
        if not cursor.fetchone()[0]:
            return None
    detail = told("story")
    return None if detail is None else Story(**(detail | {"now": datetime.fromisoformat(detail["now"])}))


def told(step: str) -> dict[str, Any] | None:
    """What was noted about a step, or None while it is not done."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT detail FROM {TABLE} WHERE step = %s", [step])
        row = cursor.fetchone()
    if row is None:
        return None
    return json.loads(row[0]) if isinstance(row[0], str) else dict(row[0])


def note(step: str, detail: dict[str, Any] | None = None) -> None:
    """Remember that a step is done."""
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {TABLE} (step, detail) VALUES (%s, %s)", [step, json.dumps(detail or {})])


@contextmanager
def once(step: str) -> Iterator[bool]:
    """A transaction for a step that is done once: gives False when it was done before, and notes it otherwise."""
    with transaction.atomic():
        fresh = told(step) is None
        yield fresh
        if fresh:
            note(step)


@contextmanager
def alone() -> Iterator[None]:
    """Keep other demos out of this database for the block, on a connection of its own; BusyDatabase when one is in."""
    guard = connection.copy()
    try:
        with guard.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK])
            if not cursor.fetchone()[0]:
                raise BusyDatabase
        yield
    finally:
        guard.close()
