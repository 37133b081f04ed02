"""Background work of uploads and pull sources, by id: each task reads the clock and calls one service.

`pull_due` belongs on the schedule every minute, `tidy_up` once a day.
"""

import os
import time
from collections.abc import Callable
from functools import partial

from django.db import transaction
from django_q.tasks import async_task

from billing.metering.sources import services
from billing.metering.sources.pulling import run_pull
from billing.metering.sources.uploading import run_upload
from config import clock

SLICE = 420
"""Seconds that one task works, below the time limit of the worker; what is left is another task."""


def upload(upload_id: int) -> None:
    """Check or import an uploaded file, or a stretch of it."""
    if run_upload(upload_id=upload_id, clock=clock.now, time_is_up=_after(SLICE)):
        queue_upload(upload_id)


def pull(source_id: int, user_id: int | None = None, dry_run: bool = False) -> None:
    """Fetch what is new from a source, or a stretch of it."""
    left = run_pull(
        source_id=source_id, clock=clock.now, time_is_up=_after(SLICE), environ=os.environ, user_id=user_id,
        dry_run=dry_run,
    )  # fmt: skip
    if left and not dry_run:
        queue_pull(source_id)


def pull_due() -> int:
    """Queue every source that is due, and every upload whose worker has died; how many. Every minute."""
    now = clock.now()
    return services.queue_due_sources(queue=queue_pull, now=now) + services.queue_waiting_uploads(
        queue=queue_upload, now=now
    )


def tidy_up() -> int:
    """Remove old files. Once a day."""
    return services.tidy(now=clock.now())


def queue_upload(upload_id: int) -> None:
    """Hand an upload to the worker."""
    transaction.on_commit(partial(async_task, f"{__name__}.upload", upload_id))


def queue_pull(source_id: int, user_id: int | None = None, dry_run: bool = False) -> None:
    """Hand a source to the worker."""
    transaction.on_commit(partial(async_task, f"{__name__}.pull", source_id, user_id, dry_run))


def _after(seconds: int) -> Callable[[], bool]:
    """Whether so much time has gone by since now."""
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end
