"""Work on a run, chunk by chunk, with any number of workers at once; the last one to finish ends it."""

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

from django.db import Error, InterfaceError, OperationalError, connection
from django.db.models import Exists, Max, OuterRef, Q
from django.db.models.functions import Coalesce, Greatest

from billing.invoicing.background import enqueue
from billing.invoicing.review import approving
from billing.invoicing.runs.chunks import bill_chunk, taken
from billing.invoicing.runs.models import BillingRun, RunChunk
from billing.invoicing.runs.planning import Queue
from billing.invoicing.runs.states import WORKING, ChunkState, RunState
from billing.metering.rollups import services as rollups

SILENCE: Final = timedelta(minutes=1)
"""A run of which nobody began or finished a chunk for so long is handed to the workers again."""
PATIENCE: Final = 60
"""Seconds that a worker waits for a database that is away."""
STEPS: Final = 20
"""How often a run has pending usage rolled up before it begins, at most."""
ORDINARY_TASK: Final = "billing.invoicing.review.tasks.approve_ordinary"
Clock = Callable[[], datetime]
logger = logging.getLogger(__name__)


def forever() -> bool:
    """Time is never up."""
    return False


def work(*, run_id: int, clock: Clock, time_is_up: Callable[[], bool] = forever) -> bool:
    """Bill one chunk of a run after the other that nobody else works on; whether some are left because time is up.

    Any number of processes may do so at once. A database that goes away in between is waited for.
    """
    if BillingRun.objects.filter(pk=run_id, state=RunState.QUEUED).update(state=RunState.RUNNING):
        _take_in()
    last_seen = time.monotonic()
    while True:
        try:
            with taken(run_id) as chunk:
                if chunk is None:
                    break
                bill_chunk(chunk, clock)
            last_seen = time.monotonic()
            if time_is_up():
                break
        except (OperationalError, InterfaceError) as error:
            if connection.in_atomic_block or not _gone(error) or time.monotonic() > last_seen + PATIENCE:
                raise
            logger.warning("The database is away, waiting for it: %s", error)
            time.sleep(0.5)
    return not finish(run_id, clock()) and time_is_up()


def finish(run_id: int, now: datetime) -> bool:
    """End a run none of whose chunks is open; whether it has ended. Whoever does the last chunk calls it."""
    open_ = RunChunk.objects.filter(run=OuterRef("pk"), state=ChunkState.OPEN)
    troubled = RunChunk.objects.filter(Q(held__gt=0) | Q(failed__gt=0), run=run_id).exists()
    over = BillingRun.objects.filter(~Exists(open_), pk=run_id, state=RunState.RUNNING)
    ended = over.update(state=RunState.PROBLEMS if troubled else RunState.DONE, finished_at=now)
    if ended and approving.wanted():
        enqueue(ORDINARY_TASK, run_id)
    return not BillingRun.objects.filter(pk=run_id, state__in=WORKING).exists()


def wait_for(run_id: int, clock: Clock) -> None:
    """Work on a run until it has ended, also where other processes have its last chunks in hand."""
    while work(run_id=run_id, clock=clock) or not finish(run_id, clock()):
        time.sleep(0.1)


def queue_silent(*, queue: Queue, now: datetime) -> int:
    """Hand runs to the workers again of which nothing was heard for a while, since their workers died; how many."""
    heard = Greatest(Max("chunks__started_at"), Max("chunks__finished_at"), "started_at")
    runs = BillingRun.objects.filter(state__in=WORKING).annotate(heard=Coalesce(heard, "started_at"))
    found = list(runs.filter(heard__lt=now - SILENCE).values_list("pk", flat=True))
    for pk in found:
        queue(pk)
    return len(found)


def _take_in() -> None:
    """Have pending usage rolled up, so that chunks ask for little that is not; what comes meanwhile counts as well."""
    try:
        for _ in range(STEPS):
            if not rollups.step():
                return
    except Exception:  # a run bills what is pending, too: it only takes longer
        logger.exception("Pending usage could not be rolled up before a run")


def _gone(error: Error) -> bool:
    """Whether the connection was lost or refused; it is closed then, so that the next statement opens another."""
    code = getattr(error.__cause__, "sqlstate", None) or ""
    if code and not code.startswith(("57P", "08")):
        return False
    with suppress(Error):
        connection.close()
    return True
