"""One chunk of a run: its customers locked, then one transaction over one snapshot, outcomes and all.

Killed anywhere, nothing of the transaction stands and the chunk is open again: locks end with the connection.
"""

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Final

from django.db import Error, InterfaceError, OperationalError, connection, transaction

from billing.invoicing.copying import copy_rows
from billing.invoicing.garbage import without_collecting
from billing.invoicing.runs.billing import bill_contracts, failed, without_events
from billing.invoicing.runs.errors import PayersChanged, WorkerDied
from billing.invoicing.runs.models import BillingRun, RunChunk, RunOutcome
from billing.invoicing.runs.planning import by_customer
from billing.invoicing.runs.states import ChunkState
from billing.metering.months.errors import MonthDetached
from billing.metering.queries import known_now
from customers.locks import hold_customers
from customers.queries import everyone_concerned

Result = RunOutcome.Result
CHUNK_LOCK: Final = 7010
"""First key of the advisory lock of who works on a chunk; the second is the chunk's id, as far as it fits."""
ATTEMPTS: Final = 3
"""How often a worker may die over a chunk before its customers are billed one by one."""
AGAIN: Final = ("40001", "40P01")
"""Another transaction was in the way, as PostgreSQL's codes say: begin again."""
TRIES: Final = 5
logger = logging.getLogger(__name__)


@contextmanager
def taken(run_id: int) -> Iterator[RunChunk | None]:
    """An open chunk of the run that nobody else works on, for as long as this lasts; None when there is none."""
    open_ = RunChunk.objects.filter(run=run_id, state=ChunkState.OPEN)
    for pk in open_.order_by("number").values_list("pk", flat=True)[:100]:
        if not _ask("SELECT pg_try_advisory_lock(%s, %s)", CHUNK_LOCK, pk % 2**31):
            continue
        try:
            chunk = open_.filter(pk=pk).first()  # it may have been done between the two
            if chunk is not None:
                yield chunk
                return
        finally:
            with suppress(Error):  # a connection that broke holds nothing
                _ask("SELECT pg_advisory_unlock(%s, %s)", CHUNK_LOCK, pk % 2**31)
    yield None


def bill_chunk(chunk: RunChunk, clock: Callable[[], datetime]) -> None:
    """Bill a chunk that is taken: drafts, outcomes and the chunk's own end commit together, or none of them.

    Where workers died over it again and again, its customers get chunks of their own, and one that stays deadly fails.
    """
    groups = by_customer(chunk.contract_ids)
    if chunk.attempts >= ATTEMPTS and len(groups) > 1:
        _divide(chunk, groups, clock())
        return
    began = {"attempts": chunk.attempts + 1, "started_at": clock(), "worker": os.getpid()}
    RunChunk.objects.filter(pk=chunk.pk).update(**began)
    for tries in range(1, TRIES + 1):
        everyone = everyone_concerned(chunk.contract_ids)
        try:
            with hold_customers(everyone), one_snapshot(), without_collecting():
                _bill(chunk, groups, everyone, clock)
            return
        except (OperationalError, PayersChanged) as error:
            if tries == TRIES or not (isinstance(error, PayersChanged) or _code(error) in AGAIN):
                raise
            logger.info("%s begins again: %s", chunk, error)


@contextmanager
def one_snapshot() -> Iterator[None]:
    """A transaction whose statements all see the same, whatever others commit meanwhile.

    Within another transaction it is a part of that, and sees what that sees.
    """
    inner = connection.in_atomic_block
    with transaction.atomic():
        if not inner:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        yield


def _bill(chunk: RunChunk, groups: Sequence[Sequence[int]], locked: set[int], clock: Callable[[], datetime]) -> None:
    """The transaction's content. A chunk that was cancelled meanwhile stays as it is."""
    fresh = RunChunk.objects.select_for_update(of=("self",)).select_related("run").get(pk=chunk.pk)
    if fresh.state != ChunkState.OPEN:
        return
    if everyone_concerned(fresh.contract_ids) - locked:
        raise PayersChanged
    now, known = clock(), known_now()
    if fresh.attempts > ATTEMPTS:
        outcomes = failed(fresh.run, groups[0], WorkerDied(fresh.attempts - 1))
    else:
        outcomes = _outcomes(fresh.run, groups, now)
    copy_rows(RunOutcome, outcomes)
    for result in Result.values:
        setattr(fresh, result, sum(each.result == result for each in outcomes))
    fresh.state, fresh.finished_at = ChunkState.DONE, clock()
    fresh.known_position, fresh.known_pending, fresh.known_at = known.position, sorted(known.pending), now
    fresh.save(update_fields=[*Result.values, "state", "finished_at", "known_position", "known_pending", "known_at"])


def _outcomes(run: BillingRun, groups: Sequence[Sequence[int]], now: datetime) -> list[RunOutcome]:
    """What came of these customers. Where that fails as a whole, of each half, so that only the faulty one fails."""
    ids = [pk for group in groups for pk in group]
    try:
        with transaction.atomic():
            return bill_contracts(contract_ids=ids, as_of=run.as_of, run=run, now=now)
    except (OperationalError, InterfaceError):  # not the customer's fault: the whole chunk begins again
        raise
    except MonthDetached as error:  # a person can do something about it: it holds whoever needs the month
        if len(groups) == 1:
            return without_events(run, ids, error, now)
    except Exception as error:  # whatever it is, the others must go on; the reason is kept with the run
        if len(groups) == 1:
            logger.exception("Contracts %s failed in %s", ids, run)
            return failed(run, ids, error)
        logger.warning("%d customers failed together in %s, trying each half: %r", len(groups), run, error)
    half = len(groups) // 2
    return _outcomes(run, groups[:half], now) + _outcomes(run, groups[half:], now)


def _divide(chunk: RunChunk, groups: Sequence[Sequence[int]], now: datetime) -> None:
    """A chunk for each customer in place of one that workers died over; each has one attempt left."""
    with transaction.atomic():
        fresh = RunChunk.objects.select_for_update().get(pk=chunk.pk)
        if fresh.state != ChunkState.OPEN:
            return
        last = RunChunk.objects.filter(run=chunk.run_id).order_by("-number").values_list("number", flat=True)[0]
        RunChunk.objects.bulk_create(
            [
                RunChunk(run_id=chunk.run_id, number=last + place, contract_ids=ids, attempts=ATTEMPTS - 1)
                for place, ids in enumerate(groups, 1)
            ]
        )
        fresh.state, fresh.finished_at = ChunkState.DIVIDED, now
        fresh.error = f"Workers died over it {fresh.attempts} times: its customers are billed one by one."
        fresh.save(update_fields=["state", "finished_at", "error"])


def _code(error: Exception) -> str:
    return getattr(error.__cause__, "sqlstate", None) or ""


def _ask(statement: str, *values: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        answer: bool = cursor.fetchone()[0]
    return answer
