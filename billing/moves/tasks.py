"""Background work of moves, by id: each task reads the clock and calls one service. `resume` every minute."""

import time
from functools import partial

from django.db import transaction
from django_q.tasks import async_task

from billing.moves import services
from config import clock

SLICE = 420
"""Seconds that one task works, below the time limit of the worker; what is left is another task."""


def work(move_id: int) -> None:
    """Do a move's work, or a stretch of it."""
    end = time.monotonic() + SLICE
    try:
        while services.step(move_id=move_id, now=clock.now()):
            if time.monotonic() > end:
                queue(move_id)
                return
    except Exception as error:
        services.note_failure(move_id=move_id, message=f"{type(error).__name__}: {error}")
        raise


def resume() -> int:
    """Queue every move whose worker has died; how many. Every minute."""
    return services.queue_silent(queue=queue, now=clock.now())


def queue(move_id: int) -> None:
    """Hand a move to the worker."""
    transaction.on_commit(partial(async_task, f"{__name__}.work", move_id))
