"""Background work of bulk actions: `resume` every minute."""

import time

from billing.invoicing.background import enqueue
from billing.invoicing.bulk import services
from config import clock

SLICE = 420
"""Seconds that one task works, below the time limit of the worker; what is left is another task."""


def work(action_id: int) -> None:
    """Move batches of a bulk action until none is left, or for a stretch of time."""
    end = time.monotonic() + SLICE
    if services.work(action_id=action_id, clock=clock.now, time_is_up=lambda: time.monotonic() > end):
        enqueue(services.TASK, action_id)


def resume() -> int:
    """Hand actions whose worker has died to another; how many."""
    found = services.silent(now=clock.now())
    for pk in found:
        enqueue(services.TASK, pk)
    return len(found)
