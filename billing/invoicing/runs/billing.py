"""Bill contracts: their deltas computed, checked and drafted, and what came of each."""

from collections.abc import Sequence
from datetime import date, datetime

from billing.invoicing.computations import services as computations
from billing.invoicing.copying import unsaved
from billing.invoicing.drafts import Drafted, days_of, write_drafts
from billing.invoicing.engine import Delta, deltas
from billing.invoicing.facts import NOW, Facts
from billing.invoicing.holds.errors import OnHold
from billing.invoicing.holds.found import Held
from billing.invoicing.holds.guards import Checked, check, hold
from billing.invoicing.holds.queries import covered, known_of, latest_releases
from billing.invoicing.holds.services import note
from billing.invoicing.holds.usage_guards import Watched
from billing.invoicing.late.queries import apart
from billing.invoicing.load import as_of_instant
from billing.invoicing.marks.keeping import Computed, seen, settle
from billing.invoicing.review.services import assess
from billing.invoicing.runs.errors import WorkerDied
from billing.invoicing.runs.models import BillingRun, RunOutcome
from billing.metering.months.errors import MonthDetached
from customers.models import Contract

Result = RunOutcome.Result


def bill_contracts(
    *, contract_ids: Sequence[int], as_of: date, run: BillingRun | None, now: datetime, facts: Facts = NOW
) -> list[RunOutcome]:
    """Compute the deltas of contracts, check them, write their drafts. Unsaved outcomes.

    The caller holds the locks of everyone concerned, and the transaction.
    """
    before = seen(contract_ids)
    contracts = list(Contract.objects.filter(id__among=contract_ids).order_by("customer_id", "id"))
    days = days_of(contracts, as_of)
    computation = computations.begin(now=now)
    watched = Watched(facts)
    until = {each.id: as_of_instant(days[each.id], each) for each in contracts}
    found = deltas(contracts, until, watched)
    releases = latest_releases(contract_ids)
    passed = {key: known_of(each) for key, each in releases.items()}
    held = check(found, Checked(watched.asked, passed, covered(releases)))
    hold(found, held)
    alone = apart(contracts, days)
    drafted = write_drafts(found, as_of=days, run=run, now=now, computation=computation, apart=alone)
    held += [
        Held(delta.contract.id, error.code, str(error), amount=delta.total, own=True)
        for delta in found
        if delta.error is None and (error := drafted[delta.contract.id].error)
    ]
    note(contract_ids=contract_ids, found=held, run=run, now=now)
    if facts is NOW:
        drafts = {each.invoice.pk for each in drafted.values() if each.changed and each.invoice and each.invoice.pk}
        assess(invoice_ids=drafts, now=now)
    reasons = {each.contract_id: each for each in held}
    computed = {
        each.contract.id: Computed(until[each.contract.id], each.due_on)
        for each in found
        if each.error is None and each.contract.id not in reasons and facts is NOW
    }
    settle(before, contract_ids, computed)
    return [_outcome(run, delta, drafted[delta.contract.id], reasons.get(delta.contract.id)) for delta in found]


def _outcome(run: BillingRun | None, delta: Delta, drafted: Drafted, held: Held | None) -> RunOutcome:
    """What the run did for a contract; one that is held says why."""
    contract = delta.contract
    outcome = unsaved(
        RunOutcome, run_id=run and run.pk, contract_id=contract.pk, customer_id=contract.customer_id,
        invoice_id=drafted.invoice and drafted.invoice.pk, currency=contract.currency, amount=delta.total,
        result=Result.UNCHANGED,
    )  # fmt: skip
    if held:
        outcome.result, outcome.code, outcome.reason = Result.HELD, held.code, held.sentence
        outcome.amount = held.amount
    elif drafted.changed and drafted.invoice:
        outcome.result = Result.DRAFTED
    return outcome


def without_events(run: BillingRun, ids: Sequence[int], error: MonthDetached, now: datetime) -> list[RunOutcome]:
    """A customer whose events lie in the archive: all of the customer's contracts are held."""
    contracts = Contract.objects.filter(id__in=ids).order_by("id")
    held = [Held(pk, "month_detached", str(error)) for pk in ids]
    found = [Delta(each, error=OnHold("month_detached", str(error))) for each in contracts]
    computation = computations.begin(now=now)
    drafted = write_drafts(found, as_of=dict.fromkeys(ids, run.as_of), run=run, now=now, computation=computation)
    note(contract_ids=ids, found=held, run=run, now=now)
    return [_outcome(run, delta, drafted[delta.contract.id], held[0]) for delta in found]


def failed(run: BillingRun, ids: Sequence[int], error: Exception) -> list[RunOutcome]:
    """Contracts that could not be computed, with the error. Their drafts stay as they are."""
    customers = dict(Contract.objects.filter(id__in=ids).values_list("id", "customer_id"))
    reason = str(error) if isinstance(error, WorkerDied) else repr(error)
    return [
        RunOutcome(run=run, contract_id=pk, customer_id=customers[pk], result=Result.FAILED, reason=reason)
        for pk in ids
    ]
