"""Files, uploads and sources for the tests of this folder."""

import io
import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import openpyxl
from django.core.files.uploadedfile import SimpleUploadedFile

from billing.metering.models import Event
from billing.metering.sources import services
from billing.metering.sources.models import PullRun, PullSource, Upload
from billing.metering.sources.pulling import run_pull
from billing.metering.sources.uploading import run_upload

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LINES = ["time,customer,tokens", *(f"2026-02-01 00:00:{n:02d},acme,{n}" for n in range(1, 6))]
MAPPING: dict[str, Any] = {
    "columns": {"time": "time", "subject": "customer"},
    "constants": {"type": "inference"},
    "data": {"tokens": {"column": "tokens", "kind": "number"}},
    "zone": "UTC",
    "ids": "row",
    "source": "file:usage.csv",
}


def never() -> bool:
    return False


def clock() -> datetime:
    return NOW


def nowhere(pk: int) -> None:
    """A queue that nobody works off: the test runs the work itself."""


def receive(content: bytes | Sequence[str], name: str = "usage.csv") -> Upload:
    data = content if isinstance(content, bytes) else ("\n".join(content) + "\n").encode()
    return services.receive_upload(file=SimpleUploadedFile(name, data), user=None, now=NOW)


def check(upload: Upload, mapping: dict[str, Any] = MAPPING) -> dict[str, Any]:
    services.check_upload(upload=upload, mapping=mapping, queue=nowhere, now=NOW)
    run_upload(upload_id=upload.pk, clock=clock, time_is_up=never)
    upload.refresh_from_db()
    return upload.checked or {}


def bring_in(upload: Upload, mapping: dict[str, Any] = MAPPING) -> Upload:
    check(upload, mapping)
    services.import_upload(upload=upload, user=None, queue=nowhere, now=NOW)
    run_upload(upload_id=upload.pk, clock=clock, time_is_up=never)
    upload.refresh_from_db()
    return upload


def counts(of: Upload | PullRun) -> tuple[int, int, int, int, int]:
    return of.rows, of.accepted, of.duplicates, of.conflicts, of.rejected


def workbook(*rows: Sequence[Any], **sheets: Sequence[Sequence[Any]]) -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    for row in rows:
        sheet.append(row)
    for title, content in sheets.items():
        other = book.create_sheet(title)
        for row in content:
            other.append(row)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def make_source(address: str, name: str = "exports", **fields: Any) -> PullSource:
    defaults = {
        "kind": PullSource.Kind.FILES, "mapping": MAPPING | {"source": ""}, "next_due_at": NOW, "created_at": NOW,
    }  # fmt: skip
    return PullSource.objects.create(name=name, address=address, **(defaults | fields))


def pull(
    source: PullSource, now: datetime = NOW, environ: dict[str, str] | None = None, dry_run: bool = False,
    time_is_up: Callable[[], bool] = never,
) -> PullRun:  # fmt: skip
    run_pull(
        source_id=source.pk, clock=lambda: now, time_is_up=time_is_up, environ=environ or {}, dry_run=dry_run
    )  # fmt: skip
    source.refresh_from_db()
    return source.runs.latest("pk")


def write(folder: Path, name: str, lines: Sequence[str], end: str = "\n", later: int = 0) -> Path:
    """A file, with a time of change that differs from one writing to the next."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text("\n".join(lines) + end)
    moment = (NOW + timedelta(seconds=later)).timestamp()
    os.utime(path, (moment, moment))
    return path


def tokens() -> list[int]:
    return sorted(data["tokens"] for data in Event.objects.values_list("data", flat=True))
