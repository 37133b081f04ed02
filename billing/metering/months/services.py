"""The verbs of months of events: make them ahead, export them to files, detach them, put them back.

Export, detach and restore hold a lock on the month, so that two never work on it at once, and change nothing before
they are done: killed at any moment, they are simply started again.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Final

import psycopg
from django.contrib.auth.models import AbstractBaseUser
from django.db import OperationalError, connection, transaction

from billing.metering import partitions
from billing.metering.months import archive
from billing.metering.months.archive import Report
from billing.metering.months.errors import ArchiveDamaged, MonthBusy, MonthNotOver, MonthNotReady, NoSuchMonth
from billing.metering.months.models import EventMonth
from billing.metering.months.queries import LOCK, first_day
from billing.metering.months.states import MOVES, MonthState
from billing.metering.partitions import table_of
from billing.metering.rollups.services import BUILDING

AHEAD: Final = 3
"""Months after the present one whose tables are made before their first event comes."""

STAYS: Final = timedelta(days=35)
"""How long a month stays after its end: home, alerts and the inbox look back that far."""

TRIES: Final = 6
"""How often detaching asks for the event table, a fifth of a second each, before it lets the others go first."""


def make_ahead(*, now: datetime) -> list[str]:
    """Make the tables of this month (UTC) and the next three, unless they are there; their names, "2023-11"."""
    first = now.astimezone(UTC).date().replace(day=1)
    months = [f"{_later(first, count):%Y-%m}" for count in range(AHEAD + 1)]
    partitions.forget()
    partitions.ensure(months)
    return months


def make(*, month: str) -> None:
    """Make the table of a month ("2023-11") unless it is there. NoSuchMonth when that is no month."""
    first_day(month)
    partitions.forget()
    partitions.ensure([month])


def export(
    *, month: str, now: datetime, user: AbstractBaseUser | None = None, report: Report = lambda count: None
) -> EventMonth:
    """Write the month's events to a file in the archive, with a manifest; the month stays as it is.

    Again after late events: the new file holds them too, and the old one stays beside it. MonthNotOver, MonthBusy, or
    MonthNotReady for a month that is detached.
    """
    with _held(month) as row:
        _needs(row, "export")
        _is_over(row, "export", timedelta(0), now)
        if not partitions.exists(month):
            raise NoSuchMonth(month)
        made_by = user.get_username() if user else ""
        manifest = archive.write(month, made_at=now, made_by=made_by, report=report)
        row.file, row.sha256, row.size, row.events = manifest.file, manifest.sha256, manifest.size, manifest.events
        row.first_at, row.last_at = _instant(manifest.first), _instant(manifest.last)
        row.exported_at, row.exported_by_id = now, user.pk if user else None
        _becomes(row, MonthState.EXPORTED)
        return row


def detach(*, month: str, now: datetime, user: AbstractBaseUser | None = None) -> EventMonth:
    """Drop the table of an exported month, once the file is read through and holds exactly what the table holds.

    Ids stay known; late events are taken as ever. MonthNotReady when events came since the export or are not rolled up
    yet, ArchiveDamaged, MonthNotOver (35 days must have passed), MonthBusy when the table could not be had.
    """
    with _held(month) as row:
        _needs(row, "detach")
        _is_over(row, "detach", STAYS, now)
        archive.verify(row.file, row.sha256, row.events or 0, month)
        with transaction.atomic():
            _take_out(month, row.events or 0)
            row.detached_at, row.detached_by_id = now, user.pk if user else None
            _becomes(row, MonthState.DETACHED)
        partitions.forget()
        return row


def restore(
    *, month: str, now: datetime, user: AbstractBaseUser | None = None, report: Report = lambda count: None
) -> EventMonth:
    """Put the events of a detached month back from its file, beside those that came late; exactly as they were.

    It ends exported when nothing came late, else live: the next export has all. For a month that is not detached
    nothing is to be done, and nothing is. ArchiveDamaged unless the file is the one that was exported; MonthBusy.
    """
    with _held(month) as row:
        if row.state != MonthState.DETACHED:
            return row
        events = row.events or 0
        archive.verify(row.file, row.sha256, events, month)
        make(month=month)  # in its own transaction: others that make a month would wait for this one's end
        with transaction.atomic():
            loaded = archive.load(row.file, month, report=report)
            if loaded != events:
                raise ArchiveDamaged(archive.folder() / row.file, f"holds {loaded:,} events, exported were {events:,}")
            row.restored_at, row.restored_by_id = now, user.pk if user else None
            _becomes(row, MonthState.EXPORTED if _count(month) == events else MonthState.LIVE)
        return row


def queue(*, month: str, verb: str) -> None:
    """Note on the month what the worker is told to do with it."""
    EventMonth.objects.filter(month=first_day(month)).update(task=verb, trouble="", progress=0)


def give_up(*, month: str, reason: str) -> None:
    """Note on the month why the worker could not do it."""
    EventMonth.objects.filter(month=first_day(month)).update(task="", trouble=reason)


@contextmanager
def _held(month: str) -> Iterator[EventMonth]:
    """The month, under its lock: of the session, not of a transaction; it ends with the process at the latest."""
    first = first_day(month)
    number = first.year * 12 + first.month
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [LOCK, number])
        if not cursor.fetchone()[0]:
            raise MonthBusy(f"{month} is being exported, detached or restored just now: wait until that is done.")
        try:
            if partitions.exists(month):
                row, _ = EventMonth.objects.get_or_create(month=first)
            else:
                found = EventMonth.objects.filter(month=first).first()
                if found is None:
                    raise NoSuchMonth(month)
                row = found
            yield row
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [LOCK, number])


def _needs(row: EventMonth, verb: str) -> None:
    """MonthNotReady unless the verb starts from the month's state."""
    if MonthState(row.state) in MOVES[verb]:
        return
    hint = {
        "export": f"Its events are in {row.file}: restore it first, then export it with what came late.",
        "detach": "Export it first." if row.state == MonthState.LIVE else "Nothing is to be done.",
    }[verb]
    raise MonthNotReady(f"{row} is {row.state}. {hint}")


def _is_over(row: EventMonth, verb: str, stays: timedelta, now: datetime) -> None:
    end = datetime.combine(_later(row.month, 1), datetime.min.time(), UTC) + stays
    if now < end:
        raise MonthNotOver(str(row), verb, f"{end:%Y-%m-%d}")


def _take_out(month: str, exported: int) -> None:
    """Detach and drop the table when it holds as many events as were exported, which are then the same ones.

    Events are never changed or deleted, so that equal counts mean equal events. Writers of the month wait for the
    count; everybody waits for the moment of detaching, which is asked for a fifth of a second at a time: shorter than
    the second after which PostgreSQL looks for a deadlock with a writer that waits here. Such a writer keeps the event
    table from being had, so that this one gives up first: well before the writer would be told to come again.
    """
    table = table_of(month)
    if not partitions.exists(month):
        raise NoSuchMonth(month)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [BUILDING])
        if not cursor.fetchone()[0]:
            raise MonthBusy(f"The rollup of a meter is being built from all events, those of {month} too. Try again.")
        cursor.execute("SET LOCAL lock_timeout = '2s'")
        try:
            cursor.execute(f"LOCK TABLE {table} IN SHARE MODE")
        except OperationalError as error:
            raise MonthBusy(f"{month} is being written to. Try again when that is over.") from error
        late = _count(month) - exported
        if late:
            raise MonthNotReady(f"{late:,} events of {month} came since it was exported: export it again first.")
        _detach_table(month)
        cursor.execute(
            """SELECT EXISTS (SELECT 1 FROM (
                   SELECT unnest(hours) AS hour FROM metering_pending
                   UNION ALL SELECT hour FROM metering_pending JOIN metering_corrected_hour USING (batch)
               ) h WHERE hour >= %s AND hour < %s)""",
            _bounds(month),
        )
        if cursor.fetchone()[0]:
            raise MonthNotReady(
                f"Usage of {month} is not rolled up yet. Try again in some seconds, while a worker runs (qcluster)."
            )
        cursor.execute(f"DROP TABLE {table}")


def _detach_table(month: str) -> None:
    """Ask for the event table until it can be had, without keeping others waiting for longer than a moment."""
    for _ in range(TRIES):
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SET LOCAL lock_timeout = '200ms'")
                cursor.execute(f"ALTER TABLE metering_event DETACH PARTITION {table_of(month)}")
                return
        except OperationalError as error:
            if not isinstance(error.__cause__, psycopg.errors.LockNotAvailable):
                raise
            time.sleep(0.1)  # let those go first who waited
    raise MonthBusy(
        f"{month} could not be detached, because long transactions use the event table. Try again when they are over."
    )


def _becomes(row: EventMonth, state: MonthState) -> None:
    row.state, row.task, row.trouble, row.progress = state, "", "", 0
    row.save()


def _count(month: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table_of(month)}")
        count: int = cursor.fetchone()[0]
    return count


def _later(first: date, months: int) -> date:
    place = first.year * 12 + first.month - 1 + months
    return date(place // 12, place % 12 + 1, 1)


def _bounds(month: str) -> tuple[datetime, datetime]:
    first = first_day(month)
    start, end = (datetime.combine(day, datetime.min.time(), UTC) for day in (first, _later(first, 1)))
    return start, end


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
