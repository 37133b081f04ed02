"""Killed in the middle, done twice at once, read and written meanwhile: a month is whole here or whole there."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from threading import Event as Flag
from typing import Any

import pytest
from django.conf import settings
from django.db import OperationalError, connection, transaction
from psycopg.errors import LockNotAvailable

from billing.metering import queries
from billing.metering.months import services
from billing.metering.months.errors import MonthBusy, MonthDetached, MonthNotReady
from billing.metering.months.models import EventMonth
from billing.metering.months.queries import busy
from billing.metering.months.services import _held
from billing.metering.months.tasks import _progress
from tests import factories
from tests.billing.metering.months.helpers import MONTH, NOVEMBER, NOW, drop_months, rows, send

pytestmark = pytest.mark.django_db(transaction=True)
FIRST = date(2023, 11, 1)


@pytest.fixture(autouse=True)
def _no_months() -> Iterator[None]:
    drop_months()
    yield
    drop_months()


def aside(work: Callable[[], Any]) -> Any:
    """Do the work in a thread with a connection of its own."""

    def begin() -> Any:
        try:
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(begin).result()


def killed_before_its_end(verb: str, archive: Path) -> None:
    """Run the verb in a process of its own, and kill it: the export at its first event, the others at their last."""
    environment = os.environ | {
        "METERBOOK_DATABASE_NAME": connection.settings_dict["NAME"], "METERBOOK_ARCHIVE": str(archive),
    }  # fmt: skip
    with transaction.atomic():
        if verb == "export":
            with connection.cursor() as cursor:
                cursor.execute("LOCK TABLE metering_event_2023_11 IN ACCESS EXCLUSIVE MODE")
        else:
            EventMonth.objects.select_for_update().get(month=FIRST)
        command = [sys.executable, "manage.py", "months", verb, MONTH]
        with subprocess.Popen(command, env=environment, cwd=settings.BASE_DIR) as process:
            for _ in range(300):
                if aside(_waits):
                    break
                assert process.poll() is None, "it ended before it could be killed"
                time.sleep(0.1)
            assert aside(busy) == {FIRST}
            process.send_signal(signal.SIGKILL)
    for _ in range(100):  # its connection ends when PostgreSQL hears of it
        if not busy():
            return
        time.sleep(0.1)


def _waits() -> bool:
    """Whether somebody waits for a lock, other than while detaching."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT 1 FROM pg_stat_activity
               WHERE wait_event_type = 'Lock' AND query ~ '(UPDATE "metering_month"|COPY)'
                 AND datname = current_database()"""
        )
        return cursor.fetchone() is not None


def test_it_works() -> None:
    send(1, 2)
    before = rows()
    services.export(month=MONTH, now=NOW)
    services.detach(month=MONTH, now=NOW)
    services.restore(month=MONTH, now=NOW)
    assert rows() == before


def test_killed_at_any_step_it_goes_on_where_it_was(archive: Path) -> None:
    send(*range(6000))
    before = rows()
    killed_before_its_end("export", archive)
    assert [path.name for path in archive.iterdir()] == ["2023-11.part"]
    assert EventMonth.objects.get().state == "live"
    services.export(month=MONTH, now=NOW)
    killed_before_its_end("detach", archive)
    assert EventMonth.objects.get().state == "exported"
    assert rows() == before
    services.detach(month=MONTH, now=NOW)
    assert rows() == []
    killed_before_its_end("restore", archive)
    assert EventMonth.objects.get().state == "detached"
    assert rows() == []
    services.restore(month=MONTH, now=NOW)
    assert rows() == before
    assert EventMonth.objects.get().state == "exported"


def test_half_a_file_of_a_killed_export_is_written_over(archive: Path) -> None:
    send(1)
    archive.mkdir()
    (archive / f"{MONTH}.part").write_bytes(b"half a file" * 1000)
    services.export(month=MONTH, now=NOW)
    assert services.detach(month=MONTH, now=NOW).state == "detached"
    assert sorted(path.suffix for path in archive.iterdir()) == [".gz", ".json"]


@pytest.mark.parametrize("verb", ["export", "detach", "restore"])
def test_two_never_work_on_a_month_at_once(verb: str) -> None:
    send(1)
    with _held(MONTH):
        assert aside(busy) == {FIRST}
        with pytest.raises(MonthBusy, match="2023-11 is being exported, detached or restored just now"):
            aside(lambda: getattr(services, verb)(month=MONTH, now=NOW))
    assert busy() == set()


def test_long_transactions_on_events_are_waited_for_and_then_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "TRIES", 2)
    send(1)
    services.export(month=MONTH, now=NOW)
    with transaction.atomic():
        assert len(rows()) == 1
        with pytest.raises(MonthBusy, match="long transactions use the event table"):
            aside(lambda: services.detach(month=MONTH, now=NOW))
    assert services.detach(month=MONTH, now=NOW).state == "detached"


def test_readers_see_a_month_whole_or_are_refused_while_it_comes_and_goes() -> None:
    send(*range(1, 101))
    customer, meter = factories.make_customer("acme"), factories.make_meter()
    over = Flag()

    def read() -> set[Any]:
        seen: set[Any] = set()
        while not over.is_set():
            try:
                (row,) = queries.quantities(customer_ids=[customer.pk], meters=[meter], period=NOVEMBER)
                seen.add(row.quantity.value)
            except MonthDetached:
                seen.add("refused")
        connection.close()
        return seen

    with ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        try:
            for _ in range(8):
                services.export(month=MONTH, now=NOW)
                services.detach(month=MONTH, now=NOW)
                time.sleep(0.05)
                services.restore(month=MONTH, now=NOW)
                time.sleep(0.05)
        finally:
            over.set()
    assert set.union(*(reader.result() for reader in readers)) == {5050, "refused"}


def test_senders_of_late_events_lose_nothing_while_a_month_comes_and_goes() -> None:
    send(0)
    over = Flag()

    def sender(first: int) -> int:
        number = first
        while not over.is_set():
            try:
                assert send(number).accepted == 1
            except OperationalError as error:  # what the view answers with 503: its client sends again
                if not isinstance(error.__cause__, LockNotAvailable):
                    raise
                continue
            number += 2
            time.sleep(0.2)
        connection.close()
        return number

    gone = 0
    deadline = time.monotonic() + 30
    with ThreadPoolExecutor(2) as pool:
        senders = [pool.submit(sender, first) for first in (1, 2)]
        try:
            while gone < 3:
                assert time.monotonic() < deadline
                services.export(month=MONTH, now=NOW)
                try:
                    services.detach(month=MONTH, now=NOW)
                except (MonthNotReady, MonthBusy):
                    continue
                gone += 1
                time.sleep(0.1)
                services.restore(month=MONTH, now=NOW)
        finally:
            over.set()
    odd, even = (each.result() for each in senders)
    stored = sorted(int(row[6][1:]) for row in rows())
    assert stored == sorted([0, *range(1, odd, 2), *range(2, even, 2)])


def test_others_see_how_far_the_work_is_before_it_is_committed() -> None:
    send(1)
    with transaction.atomic(), _progress(MONTH) as note:
        EventMonth.objects.get()
        note(150_000)
        assert aside(lambda: EventMonth.objects.get().progress) == 150_000
    services.export(month=MONTH, now=NOW)
    assert EventMonth.objects.get().progress == 0
