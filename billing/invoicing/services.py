"""The verbs of billing: run. What follows a draft (approve, issue) stands in `lifecycle.py`."""

from collections.abc import Sequence
from datetime import date, datetime

from django.contrib.auth.models import AbstractBaseUser

from billing.invoicing.lifecycle import approve, issue, send_back
from billing.invoicing.models import BillingRun
from billing.invoicing.runs.billing import bill_contracts
from billing.invoicing.runs.planning import cancel, repeat, request_run
from billing.invoicing.runs.working import wait_for

__all__ = ["approve", "bill_contracts", "cancel", "issue", "repeat", "request_run", "run_billing", "send_back"]


def run_billing(
    *, as_of: date, now: datetime, user: AbstractBaseUser | None = None, contract_ids: Sequence[int] | None = None,
    full: bool = False,
) -> BillingRun:  # fmt: skip
    """Bring every active contract's draft up to date as of a day (its start in each contract's zone), at once.

    Each chunk commits by itself: a customer that fails leaves the others done, and a second run over unchanged facts
    changes nothing. `contract_ids` narrows the run; see request_run for `full`. Opens its own transactions.
    """
    run = request_run(as_of=as_of, now=now, user=user, contract_ids=contract_ids, full=full)
    wait_for(run.pk, lambda: now)
    run.refresh_from_db()
    return run
