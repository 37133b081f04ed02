"""Background work of invoicing, by id: each task reads the clock and calls one service. `resume` every minute."""

import time
from datetime import date

from django.conf import settings
from django.contrib.auth import get_user_model

from billing.invoicing import delivery
from billing.invoicing.background import enqueue
from billing.invoicing.runs import working
from billing.invoicing.services import request_run
from config import clock

SLICE = 420
"""Seconds that one task works, below the time limit of the worker; what is left is another task."""


def deliver(delivery_id: int) -> None:
    """Send a delivery, unless it is sent."""
    delivery.deliver(delivery_id=delivery_id, now=clock.now())


def bill(as_of: str, user_id: int | None = None) -> int:
    """Ask for a billing run as of a day (YYYY-MM-DD), which the workers share; its id."""
    user = get_user_model().objects.filter(pk=user_id).first() if user_id else None
    return request_run(as_of=date.fromisoformat(as_of), now=clock.now(), user=user, queue=queue_run).pk


def work(run_id: int) -> None:
    """Bill chunks of a run until none is left, or for a stretch of time."""
    end = time.monotonic() + SLICE
    if working.work(run_id=run_id, clock=clock.now, time_is_up=lambda: time.monotonic() > end):
        enqueue(f"{__name__}.work", run_id)


def resume() -> int:
    """Hand runs whose workers have died to others; how many. Every minute."""
    return working.queue_silent(queue=queue_run, now=clock.now())


def queue_run(run_id: int) -> None:
    """Hand a run to the workers, a task for each: they take its chunks in turn."""
    for _ in range(settings.Q_CLUSTER["workers"]):
        enqueue(f"{__name__}.work", run_id)
