"""Background work of the price lab, by id: each task reads the clock and calls one service.

`resume` belongs on the schedule every minute.
"""

import time
from collections.abc import Callable
from functools import partial

from django.db import transaction
from django_q.tasks import async_task

from billing.lab import services
from billing.lab.running import run_trial
from config import clock

SLICE = 420
"""Seconds that one task works, below the time limit of the worker; what is left is another task."""


def rate(run_id: int) -> None:
    """Work on a run of a trial, or a stretch of it."""
    if run_trial(run_id=run_id, clock=clock.now, time_is_up=_after(SLICE)):
        queue_run(run_id)


def resume() -> int:
    """Queue runs whose worker has died; how many. Every minute."""
    return services.queue_waiting(queue=queue_run, now=clock.now())


def queue_run(run_id: int) -> None:
    """Hand a run to the worker."""
    transaction.on_commit(partial(async_task, f"{__name__}.rate", run_id))


def _after(seconds: int) -> Callable[[], bool]:
    """Whether so much time has gone by since now."""
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end
