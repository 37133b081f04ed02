"""The verbs of uploads and pull sources: receive, check, import, discard; fetch, pause; queue what is due."""

from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Coalesce
from django_q.tasks import async_task

from billing.metering.alerts import services as alerts
from billing.metering.alerts.models import UsageAlert
from billing.metering.corrections.services import make_backfill
from billing.metering.sources import queries
from billing.metering.sources.errors import NotNow, SourceError
from billing.metering.sources.leases import PATIENCE
from billing.metering.sources.models import PullRun, PullSource, Upload
from billing.metering.sources.states import WORKING, UploadState, before
from billing.metering.sources.tables import Reading, open_table

Queue = Callable[[int], None]
"""What hands a row's id to the worker once the transaction is committed."""


def receive_upload(*, file: "UploadedFile[Any]", user: AbstractBaseUser | None, now: datetime) -> Upload:
    """Keep an uploaded file, and read its header. UnreadableFile, and nothing kept, when it holds no rows."""
    name = Path(file.name or "file").name[-255:]
    digest = sha256()
    with transaction.atomic():
        upload = Upload.objects.create(
            name=name, size=file.size or 0, sha256="", uploaded_by_id=user.pk if user else None, uploaded_at=now
        )
        path = queries.path_of(upload)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with path.open("wb") as kept:
                for chunk in file.chunks():
                    digest.update(chunk)
                    kept.write(chunk)
            upload.sha256 = digest.hexdigest()
            _look_into(upload, path)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
    return upload


def choose_reading(*, upload: Upload, delimiter: str, sheet: str) -> None:
    """Read the file with another delimiter, or another sheet of it. UnreadableFile as `receive_upload`."""
    upload.reading = {"delimiter": delimiter, "sheet": sheet}
    _look_into(upload, queries.path_of(upload))


def _look_into(upload: Upload, path: Path) -> None:
    """Set the header, and the delimiter that was found, from the file."""
    with path.open("rb") as binary, open_table(binary, upload.name, upload.size, Reading(**upload.reading)) as table:
        if not table.head:
            raise SourceError(
                f"{upload.name} has names of columns, but no rows below them; there is nothing to import."
            )
        upload.header = table.header
        upload.reading = {"delimiter": table.delimiter, "sheet": upload.reading.get("sheet", "")}
    upload.save(update_fields=["sha256", "header", "reading"])


def check_upload(*, upload: Upload, mapping: dict[str, Any], queue: Queue, now: datetime) -> None:
    """Have the worker read the whole file by this mapping and store nothing (a dry run)."""
    fresh = {"rows": 0, "accepted": 0, "duplicates": 0, "conflicts": 0, "rejected": 0, "errors_bytes": 0, "progress": 0}
    _move(upload, UploadState.CHECKING, queue, now, mapping=mapping, checked=None, message="", **fresh)


def import_upload(*, upload: Upload, user: AbstractBaseUser | None, queue: Queue, now: datetime) -> None:
    """Have the worker import the file as it was checked, as one backfill that can be taken back as a whole."""
    fresh = {"rows": 0, "accepted": 0, "duplicates": 0, "conflicts": 0, "rejected": 0, "errors_bytes": 0, "progress": 0}
    with transaction.atomic():
        name, reason = f"Upload {upload.pk}: {upload.name}"[:200], f"The file {upload.name}, uploaded in the admin."
        backfill = upload.backfill or make_backfill(name=name, reason=reason, user=user, now=now)
        _move(upload, UploadState.IMPORTING, queue, now, backfill=backfill, **fresh)


def discard_upload(*, upload: Upload, now: datetime) -> None:
    """Forget a file that is not to be imported."""
    _move(upload, UploadState.DISCARDED, lambda pk: None, now, removed_at=now)
    _remove(upload)


def _move(upload: Upload, state: UploadState, queue: Queue, now: datetime, **changes: Any) -> None:
    """Move an upload, and queue its work; NotNow when it has moved on meanwhile."""
    with transaction.atomic():
        ready = Upload.objects.filter(pk=upload.pk, state__in=before(state), removed_at=None)
        waits = now + PATIENCE if state in WORKING else None
        if not ready.update(state=state, lease=None, leased_until=waits, **changes):
            upload.refresh_from_db()
            raise NotNow(f"{upload.name}: {upload.get_state_display().lower()}. Look at it again.")
        transaction.on_commit(lambda: queue(upload.pk))
    upload.refresh_from_db()


def queue_waiting_uploads(*, queue: Queue, now: datetime) -> int:
    """Queue uploads whose worker has died, or never came; how many."""
    with transaction.atomic():
        waiting = Upload.objects.select_for_update(skip_locked=True).filter(state__in=WORKING, leased_until__lt=now)
        ids = list(waiting.values_list("pk", flat=True))
        Upload.objects.filter(pk__in=ids).update(lease=None, leased_until=now + PATIENCE)
        for pk in ids:
            transaction.on_commit(lambda pk=pk: queue(pk))  # type: ignore[misc]
    return len(ids)


def tidy(*, now: datetime) -> int:
    """Remove files that are older than the setting METERBOOK_UPLOAD_DAYS, and runs that found nothing; how many files.

    An upload that waits for its columns or its confirmation that long is discarded.
    """
    since = now - timedelta(days=settings.METERBOOK_UPLOAD_DAYS)
    old = list(Upload.objects.filter(uploaded_at__lt=since, removed_at=None).exclude(state__in=WORKING))
    for upload in old:
        _remove(upload)
    waiting = Q(state__in=[UploadState.MAPPING, UploadState.CHECKED, UploadState.FAILED])
    Upload.objects.filter(waiting, pk__in=[upload.pk for upload in old]).update(state=UploadState.DISCARDED)
    Upload.objects.filter(pk__in=[upload.pk for upload in old]).update(removed_at=now)
    runs = list(PullRun.objects.filter(started_at__lt=since, removed_at=None, errors_bytes__gt=0))
    for run in runs:
        queries.errors_of(run).unlink(missing_ok=True)
    PullRun.objects.filter(pk__in=[run.pk for run in runs]).update(removed_at=now)
    PullRun.objects.filter(started_at__lt=since, finished_at__isnull=False, rows=0, error="").delete()
    return len(old) + len(runs)


def _remove(upload: Upload) -> None:
    """Remove the file and its errors file; the row stays, and so do its events."""
    queries.path_of(upload).unlink(missing_ok=True)
    queries.errors_of(upload).unlink(missing_ok=True)


def pause_source(*, source: PullSource, paused: bool, now: datetime) -> None:
    """Stop fetching from a source, or begin again; a run that is under way ends by itself."""
    changes: dict[str, Any] = {"paused": paused}
    if not paused:  # silence is counted from now on
        changes |= {"next_due_at": queries.next_run(source, now), "silent_since": None, "last_new_at": now}
        alerts.close_alerts(kind=UsageAlert.Kind.SOURCE_SILENT, source=source.name, now=now)
    PullSource.objects.filter(pk=source.pk).update(**changes)
    source.refresh_from_db()


def queue_due_sources(*, queue: Queue, now: datetime) -> int:
    """Queue each source that is due once, and say which have fallen silent; how many were queued.

    A source whose worker has died is due as soon as its lease is over.
    """
    with transaction.atomic():
        free = Q(lease=None, next_due_at__lte=now) | Q(lease__isnull=False, leased_until__lt=now)
        due = PullSource.objects.select_for_update(skip_locked=True).filter(free, paused=False).exclude(mapping={})
        for source in (found := list(due)):
            source.next_due_at = queries.next_run(source, now)
            source.lease = source.leased_until = None
            transaction.on_commit(lambda pk=source.pk: queue(pk))  # type: ignore[misc]
        PullSource.objects.bulk_update(found, ["next_due_at", "lease", "leased_until"])
    _mark_silent(now)
    return len(found)


def _mark_silent(now: datetime) -> None:
    """Mark sources that have had no new row for longer than they may, and open an alert for each."""
    watched = PullSource.objects.filter(paused=False, silent_after_hours__isnull=False, silent_since=None)
    silent = [
        source
        for source in watched.annotate(since=Coalesce("last_new_at", "created_at"))
        if source.since + timedelta(hours=source.silent_after_hours or 0) < now
    ]
    for source in silent:
        source.silent_since = source.since
    PullSource.objects.bulk_update(silent, ["silent_since"])
    opened = [
        alerts.open_alert(kind=UsageAlert.Kind.SOURCE_SILENT, source=source.name, since=source.since, now=now)
        for source in silent
    ]
    if ids := [alert.pk for alert in opened if alert]:
        transaction.on_commit(lambda: async_task("billing.metering.alerts.tasks.tell", ids))


def map_source(*, source: PullSource, mapping: dict[str, Any]) -> None:
    """Say what the columns of a source are, from its next run on."""
    PullSource.objects.filter(pk=source.pk).update(mapping=mapping)
    source.refresh_from_db()
