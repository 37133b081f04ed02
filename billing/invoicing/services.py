"""The verbs of billing: run. What follows a draft (approve, issue) stands in `lifecycle.py`."""

import logging
from collections.abc import Iterator, Sequence
from datetime import date, datetime

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import Max

from billing.invoicing.drafts import Drafted, write_drafts
from billing.invoicing.engine import Delta, deltas
from billing.invoicing.errors import InvoicingError, NegativeTotal
from billing.invoicing.lifecycle import approve, issue, send_back
from billing.invoicing.load import as_of_instant
from billing.invoicing.marks.keeping import Computed, seen, settle
from billing.invoicing.marks.selecting import needed
from billing.invoicing.models import BillingRun, Invoice, RunOutcome
from billing.invoicing.states import InvoiceState
from billing.money import plain
from customers.knowledge import draw_number
from customers.locks import lock_customers
from customers.models import Contract
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
    *, contract_ids: Sequence[int], as_of: date, run: BillingRun | None, now: datetime
) -> list[RunOutcome]:
    """One chunk: lock the customers, compute the deltas, write the drafts. Unsaved outcomes; the caller's transaction.

    A draft that stands as of a later day keeps that day: an earlier run does not take back what fell due since.
    """
    customers = Contract.objects.filter(id__in=contract_ids).values_list("customer_id", flat=True)
    lock_customers(customers)
    known, before = draw_number(), seen(contract_ids)
    contracts = list(Contract.objects.filter(id__in=contract_ids).order_by("customer_id", "id"))
    days = _days(contract_ids, as_of)
    until = {each.id: as_of_instant(days[each.id], each) for each in contracts}
    found = deltas(contracts, until)
    writable = []
    outcomes = []
    for delta in found:
        reason = _held(delta)
        if reason is None:
            writable.append(delta)
        else:
            outcomes.append(RunOutcome(run=run, contract=delta.contract, result=Result.HELD, reason=str(reason)))
    _drop_drafts([outcome.contract_id for outcome in outcomes])
    drafted = write_drafts(writable, as_of=days, run=run, known=known, now=now)
    settle(before, contract_ids, {each.contract.id: Computed(until[each.contract.id], each.due_on) for each in writable})
    return outcomes + [_outcome(run, delta, drafted[delta.contract.id]) for delta in writable]


def _held(delta: Delta) -> InvoicingError | None:
    """Why this contract gets no draft now, if so."""
    if delta.error:
        return delta.error
    if delta.total < 0:
        return NegativeTotal(f"{delta.contract.currency} {plain(-delta.total)}")
    return None


def _outcome(run: BillingRun | None, delta: Delta, drafted: Drafted) -> RunOutcome:
    result = Result.DRAFTED if drafted.changed and drafted.invoice else Result.UNCHANGED
    return RunOutcome(run=run, contract=delta.contract, result=result, invoice=drafted.invoice)


def _days(contract_ids: Sequence[int], as_of: date) -> dict[int, date]:
    drafts = Invoice.objects.filter(contract_id__in=contract_ids, state=InvoiceState.DRAFT)
    latest = dict(drafts.values_list("contract_id").annotate(latest=Max("as_of")).order_by())
    return {key: max(as_of, latest.get(key, as_of)) for key in contract_ids}


def _drop_drafts(contract_ids: Sequence[int]) -> None:
    """A held contract has no draft: what stood there no longer is its delta."""
    Invoice.objects.filter(contract_id__in=contract_ids, state=InvoiceState.DRAFT).delete()


def _chunks(ids: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(ids), CHUNK):
        yield ids[start : start + CHUNK]
