"""The verbs of billing: run. What follows a draft (approve, issue) stands in `lifecycle.py`."""

import logging
from collections.abc import Iterator, Sequence
from datetime import date, datetime

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from billing.invoicing.computations import services as computations
from billing.invoicing.drafts import Drafted, days_of, write_drafts
from billing.invoicing.engine import Delta, deltas
from billing.invoicing.facts import NOW, Facts
from billing.invoicing.lifecycle import approve, issue, send_back
from billing.invoicing.load import as_of_instant
from billing.invoicing.marks.keeping import Computed, seen, settle
from billing.invoicing.marks.selecting import needed
from billing.invoicing.models import BillingRun, RunOutcome
from customers.locks import lock_customers
from customers.models import Contract
from customers.queries import everyone_concerned
from customers.states import ContractState

__all__ = ["approve", "bill_contracts", "issue", "run_billing", "send_back"]

logger = logging.getLogger(__name__)
CHUNK = 200  # contracts a transaction: few enough that a failure costs little, enough that queries are shared
Result = RunOutcome.Result


def run_billing(
    *, as_of: date, now: datetime, user: AbstractBaseUser | None = None, contract_ids: Sequence[int] | None = None,
    full: bool = False,
) -> BillingRun:  # fmt: skip
    """Bring every active contract's draft up to date as of a day (its start in each contract's zone).

    Each chunk commits by itself: a failing one leaves the others done, and a second run over unchanged facts changes
    nothing. `contract_ids` narrows the run to these; else it leaves out, unless `full`, what cannot have changed since
    it was last computed. Opens its own transactions.
    """
    run = BillingRun.objects.create(as_of=as_of, requested_by=user, started_at=now)  # type: ignore[misc]
    for ids in _chunks(_contracts(as_of, contract_ids, full)):
        try:
            with transaction.atomic():
                outcomes = bill_contracts(contract_ids=ids, as_of=as_of, run=run, now=now)
        except Exception as error:  # whatever it is, the other chunks must go on; the reason is kept with the run
            logger.exception("A chunk of %s failed", run)
            outcomes = [RunOutcome(run=run, contract_id=id_, result=Result.FAILED, reason=repr(error)) for id_ in ids]
        RunOutcome.objects.bulk_create(outcomes)
    run.finished_at = now
    run.save(update_fields=["finished_at"])
    return run


def _contracts(as_of: date, contract_ids: Sequence[int] | None, full: bool) -> list[int]:
    """Which contracts a run computes, by customer."""
    if contract_ids is None and not full:
        return needed(as_of=as_of)
    contracts = Contract.objects.filter(state=ContractState.ACTIVE, start__lte=as_of)
    if contract_ids is not None:
        contracts = contracts.filter(id__in=contract_ids)
    return list(contracts.order_by("customer_id", "id").values_list("id", flat=True))


def bill_contracts(
    *, contract_ids: Sequence[int], as_of: date, run: BillingRun | None, now: datetime, facts: Facts = NOW
) -> list[RunOutcome]:
    """One chunk: lock everyone concerned, compute the deltas, write the drafts. Unsaved; the caller's transaction."""
    lock_customers(everyone_concerned(contract_ids))
    before = seen(contract_ids)
    contracts = list(Contract.objects.filter(id__in=contract_ids).order_by("customer_id", "id"))
    days = days_of(contracts, as_of)
    computation = computations.begin(now=now)
    until = {each.id: as_of_instant(days[each.id], each) for each in contracts}
    found = deltas(contracts, until, facts)
    drafted = write_drafts(found, as_of=days, run=run, now=now, computation=computation)
    good = [each for each in found if not (each.error or drafted[each.contract.id].error)]
    settle(before, contract_ids, {each.contract.id: Computed(until[each.contract.id], each.due_on) for each in good})
    return [_outcome(run, delta, drafted[delta.contract.id]) for delta in found]


def _outcome(run: BillingRun | None, delta: Delta, drafted: Drafted) -> RunOutcome:
    """What the run did for a contract; one that is held says why."""
    if error := delta.error or drafted.error:
        return RunOutcome(
            run=run, contract=delta.contract, result=Result.HELD, reason=str(error), invoice=drafted.invoice
        )
    result = Result.DRAFTED if drafted.changed and drafted.invoice else Result.UNCHANGED
    return RunOutcome(run=run, contract=delta.contract, result=result, invoice=drafted.invoice)


def _chunks(ids: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(ids), CHUNK):
        yield ids[start : start + CHUNK]
