"""Ask for a run: which contracts it bills, in chunks that never divide a customer; repeat and cancel one."""

from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from itertools import groupby

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import QuerySet

from billing.invoicing.marks.selecting import needed
from billing.invoicing.runs.errors import NothingToRepeat, RunOver
from billing.invoicing.runs.models import BillingRun, RunChunk, RunOutcome
from billing.invoicing.runs.states import WORKING, ChunkState, RunState
from customers.models import Contract
from customers.states import ContractState

CHUNK = 1250  # contracts a transaction: few enough that a failure costs little, enough that queries are shared
Queue = Callable[[int], None]
"""Hands a run, by its id, to the workers once the transaction is committed."""
TROUBLED = [RunOutcome.Result.HELD, RunOutcome.Result.FAILED]


def request_run(
    *, as_of: date, now: datetime, user: AbstractBaseUser | None = None, contract_ids: Sequence[int] | None = None,
    again: BillingRun | None = None, queue: Queue | None = None, full: bool = False,
) -> BillingRun:  # fmt: skip
    """A new run over every active contract, or some, with its chunks laid down. Nothing is billed yet.

    Unless it is `full`, or over named contracts, it leaves out those whose drafts cannot differ from their deltas,
    since nothing fell due and nothing was learned of them since they were computed.
    """
    contracts = Contract.objects.filter(state=ContractState.ACTIVE, start__lte=as_of)
    left_out = 0
    if contract_ids is None and not full:
        contract_ids = needed(as_of=as_of)
        left_out = contracts.count() - len(contract_ids)
    if contract_ids is not None:
        contracts = contracts.filter(id__in=contract_ids)
    with transaction.atomic():
        chunks = list(_chunks(contracts))
        run = BillingRun.objects.create(
            as_of=as_of, requested_by=user, started_at=now, again=again, contracts=sum(map(len, chunks)),
            left_out=max(left_out, 0),
        )  # type: ignore[misc]  # fmt: skip
        RunChunk.objects.bulk_create(
            [RunChunk(run=run, number=number, contract_ids=ids) for number, ids in enumerate(chunks, 1)]
        )
        if queue:
            queue(run.pk)
    return run


def repeat(
    *, run: BillingRun, user: AbstractBaseUser | None, now: datetime, queue: Queue | None = None
) -> BillingRun:  # fmt: skip
    """A new run as of the same day, over the customers of whom something was held or failed. NothingToRepeat."""
    troubled = RunOutcome.objects.filter(run=run, result__in=TROUBLED).values("customer")
    ids = list(RunOutcome.objects.filter(run=run, customer__in=troubled).values_list("contract", flat=True))
    if not ids:
        raise NothingToRepeat(run)
    return request_run(as_of=run.as_of, now=now, user=user, contract_ids=ids, again=run, queue=queue)


def cancel(*, run_id: int, user: AbstractBaseUser | None, now: datetime) -> BillingRun:
    """Stop a run: chunks that are in hand are finished, the others never begin. What was drafted stays. RunOver."""
    with transaction.atomic():
        run = BillingRun.objects.select_for_update(of=("self",), no_key=True).get(pk=run_id)  # chunks refer to it
        if run.state not in WORKING:
            raise RunOver(run, run.get_state_display())
        run.state, run.finished_at, run.cancelled_by = RunState.CANCELLED, now, user  # type: ignore[assignment]
        run.save(update_fields=["state", "finished_at", "cancelled_by"])
        RunChunk.objects.filter(run=run, state=ChunkState.OPEN).update(state=ChunkState.CANCELLED)
    return run


def by_customer(ids: Sequence[int]) -> list[list[int]]:
    """Contract ids in groups of one customer each, in order; one query."""
    rows = Contract.objects.filter(id__in=ids).order_by("customer_id", "id").values_list("customer_id", "id")
    return [[pk for _, pk in group] for _, group in groupby(rows, key=lambda row: row[0])]


def _chunks(contracts: QuerySet[Contract]) -> Iterator[list[int]]:
    """Whole customers, as many as fit into a chunk; one with more contracts has a chunk for itself."""
    rows = contracts.order_by("customer_id", "id").values_list("customer_id", "id")
    chunk: list[int] = []
    for _, group in groupby(rows.iterator(), key=lambda row: row[0]):
        ids = [pk for _, pk in group]
        if chunk and len(chunk) + len(ids) > CHUNK:
            yield chunk
            chunk = []
        chunk += ids
    if chunk:
        yield chunk
