"""A worker that is killed in the middle of a file: the next one goes on, and every row counts exactly once."""

import os
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from billing.metering.models import Event
from billing.metering.sources import services
from billing.metering.sources.models import Upload
from billing.metering.sources.states import UploadState
from config import clock
from tests.billing.metering.sources.helpers import MAPPING, check, counts, nowhere, receive

pytestmark = pytest.mark.django_db(transaction=True)
ROWS = 8_000
WORKER = """
import sys
from pathlib import Path
import django
django.setup()
from django.conf import settings
from billing.metering import csv_import
from billing.metering.sources import tasks
settings.UPLOAD_ROOT, csv_import.BATCH = Path(sys.argv[2]), 500
tasks.upload(int(sys.argv[1]))
"""


def worker(upload: Upload) -> subprocess.Popen[bytes]:
    """A process that imports the upload, as the worker's task does."""
    own = {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "METERBOOK_DATABASE_NAME": connection.settings_dict["NAME"],
        "METERBOOK_DATA": str(settings.DATA_DIR),
    }
    arguments = [sys.executable, "-c", WORKER, str(upload.pk), str(settings.UPLOAD_ROOT)]
    return subprocess.Popen(arguments, env=os.environ | own, cwd=Path(__file__).parents[4])


def wait_for(upload: Upload, rows: int) -> None:
    """Until so many rows of the upload are committed."""
    for _ in range(600):
        upload.refresh_from_db()
        if upload.rows >= rows:
            return
        time.sleep(0.05)
    raise AssertionError("The worker did not begin.")


def give_up() -> None:
    """Queue the upload again, as the schedule does: once the server has noticed that its worker is gone."""
    for _ in range(600):
        if services.queue_waiting_uploads(queue=nowhere, now=clock.now() + timedelta(minutes=5)):
            return
        time.sleep(0.05)
    raise AssertionError("The upload waits for nobody.")


def test_it_works_after_being_killed_twice() -> None:
    lines = ["time,customer,tokens", *(f"2026-02-01 00:00:00,acme,{n}" for n in range(ROWS)), "never,acme,1"]
    upload = receive(lines)
    check(upload)
    services.import_upload(upload=upload, user=None, queue=nowhere, now=clock.now())
    for rows in (500, 3000):
        process = worker(upload)
        try:
            wait_for(upload, rows)
        finally:
            process.kill()
            process.wait()
        upload.refresh_from_db()
        assert upload.state == UploadState.IMPORTING
        give_up()
    assert worker(upload).wait(120) == 0
    upload.refresh_from_db()
    assert (upload.state, counts(upload)) == (UploadState.DONE, (ROWS + 1, ROWS, 0, 0, 1))
    assert Event.objects.count() == ROWS
    assert Event.objects.values("id").distinct().count() == ROWS


def test_a_file_is_imported_by_two_workers_at_once_as_by_one() -> None:
    upload = receive(["time,customer,tokens", *(f"2026-02-01 00:00:00,acme,{n}" for n in range(3000))])
    check(upload, MAPPING | {"ids": "content"})
    services.import_upload(upload=upload, user=None, queue=nowhere, now=clock.now())
    processes = [worker(upload) for _ in range(2)]
    assert [process.wait(120) for process in processes] == [0, 0]
    upload.refresh_from_db()
    assert (upload.state, counts(upload)) == (UploadState.DONE, (3000, 3000, 0, 0, 0))
