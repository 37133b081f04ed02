"""The work of a run: contracts in chunks, each one transaction with its outcomes and its place; then the result.

Killed anywhere, it goes on at the last chunk that committed. It writes to the lab's own tables alone.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import groupby
from uuid import UUID

from django.db import transaction

from billing.catalog.errors import CatalogError
from billing.lab import leases
from billing.lab.comparing import Found, Setup, compare, setup_of
from billing.lab.errors import LabError, LeaseLost, NobodyToRate
from billing.lab.models import TrialOutcome, TrialRun
from billing.lab.queries import contracts_of, known_through
from billing.lab.results import result_of
from billing.lab.states import RunState
from billing.metering.months.errors import MonthDetached
from customers.models import Contract

CHUNK = 500
"""Contracts in one transaction."""
Clock = Callable[[], datetime]

logger = logging.getLogger(__name__)


def run_trial(*, run_id: int, clock: Clock, time_is_up: Callable[[], bool]) -> bool:
    """Work on a run, as long as there is time; whether something is left. Nothing where another process works on it."""
    lease = leases.take(run_id, clock())
    if lease is None:
        return False
    run = TrialRun.objects.select_related("trial").get(pk=run_id)
    try:
        setup = _begun(run, lease, clock)
        while run.done < len(run.contracts):
            if time_is_up():
                leases.release(run.pk, lease, leased_until=clock() + leases.PATIENCE)
                return True
            _chunk(run, setup, lease, clock)
        with transaction.atomic():
            result = result_of(run, len(setup.candidates), (run.result or {}).get("names", {}))
            leases.release(run.pk, lease, state=RunState.DONE, finished_at=clock(), result=result)
    except LeaseLost:
        logger.info("%s was cancelled, or goes on elsewhere", run)
    except (CatalogError, LabError, MonthDetached) as error:  # a person can do something about these
        leases.fail(run.pk, lease, str(error), clock())
    except Exception as error:  # nobody is left to hear of it: it is kept with the run, and logged
        logger.exception("%s failed", run)
        leases.fail(run.pk, lease, f"The run failed: {error!r}", clock())
    return False


def _begun(run: TrialRun, lease: UUID, clock: Clock) -> Setup:
    """The trial, and on the first time the cohort, which is kept."""
    setup = setup_of(run.trial)
    if run.state == RunState.QUEUED:
        run.contracts, run.state = contracts_of(run.trial), RunState.RUNNING
        if not run.contracts:
            raise NobodyToRate
        started = {"started_at": clock(), "known_through": known_through(), "contracts": run.contracts}
        leases.renew(run.pk, lease, clock(), state=run.state, **started)
    return setup


def _chunk(run: TrialRun, setup: Setup, lease: UUID, clock: Clock) -> None:
    """Rate the next contracts and commit what they came to, together with how far the run is."""
    contracts = _next(run)
    names: dict[str, str] = dict((run.result or {}).get("names", {}))
    with transaction.atomic():
        found = list(_compared(setup, contracts, names))
        TrialOutcome.objects.bulk_create(
            [
                TrialOutcome(
                    run=run, customer_id=each.customer_id, currency=each.currency, problem=each.problem,
                    today=Decimal(0) if each.problem else each.amounts[0],
                    amounts=[] if each.problem else each.amounts[1:],
                    parts=[] if each.problem else each.parts_json(),
                )
                for each in found
            ]
        )  # fmt: skip
        done, result = run.done + len(contracts), {"names": names}
        leases.renew(run.pk, lease, clock(), done=done, result=result)
    run.done, run.result = done, result


def _next(run: TrialRun) -> list[Contract]:
    """The contracts of the next chunk; a customer's are never divided."""
    size = CHUNK
    while True:
        ids = run.contracts[run.done : run.done + size + 1]
        known = Contract.objects.in_bulk(ids)
        contracts = [known[pk] for pk in ids]
        if len(contracts) <= size:
            return contracts
        whole = [each for each in contracts if each.customer_id != contracts[-1].customer_id]
        if whole:
            return whole
        size *= 2


def _compared(setup: Setup, contracts: Sequence[Contract], names: dict[str, str]) -> Iterator[Found]:
    """What each customer comes to. Where rating fails as a whole, each alone, so that a faulty one stays alone."""
    try:
        with transaction.atomic():
            found = compare(setup, contracts, names)
    except MonthDetached:
        raise
    except Exception as error:  # told of below, with the customer that it belongs to
        customers = [list(group) for _, group in groupby(contracts, key=lambda each: each.customer_id)]
        if len(customers) == 1:
            logger.exception("Customer %s could not be rated", contracts[0].customer_id)
            for currency in sorted({each.currency for each in contracts}):
                yield Found(contracts[0].customer_id, currency, [], problem=f"It could not be rated: {error!r}")
            return
        for group in customers:
            yield from _compared(setup, group, names)
        return
    yield from found
