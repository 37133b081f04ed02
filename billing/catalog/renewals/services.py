"""Renewals of contracts with a fixed end: by themselves when nobody gave notice in time, or by hand."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import Q

from billing.catalog.errors import CatalogError
from billing.catalog.models import Subscription
from billing.catalog.renewals.models import Renewal
from billing.catalog.renewals.rules import after_term, last_day_of_notice
from billing.catalog.terms.models import SubscriptionTerm
from billing.catalog.terms.services import end_term, set_term
from billing.catalog.terms.states import TermKind
from billing.money import EXACT, plain
from billing.periods import local_date, local_midnight
from customers.locks import lock_customers
from customers.models import Contract
from customers.states import ContractState

MOST: Final = 100
"""Terms that are made up for at once, where nobody looked for long."""


class NotRenewed(CatalogError):
    """A contract that cannot be renewed so."""


def renew(
    *, contract: Contract, end: date | None, user: AbstractBaseUser | None, now: datetime,
    uplift: Decimal = Decimal(0), automatic: bool = False,
) -> Renewal:  # fmt: skip
    """Let a contract go on after its end, until `end` or for ever; from then on prices are `uplift` percent higher.

    Subscriptions without an end of their own go on with it. NotRenewed with the way out; nothing is kept then.
    """
    with transaction.atomic():
        lock_customers([contract.customer_id])
        contract = Contract.objects.select_for_update(of=("self",)).get(pk=contract.pk)
        start = contract.end
        if contract.state != ContractState.ACTIVE:
            raise NotRenewed(f"Contract {contract} is a draft: activate it first.")
        if start is None:
            raise NotRenewed(f"Contract {contract} has no end: there is nothing to renew.")
        if end is not None and end <= start:
            raise NotRenewed(f"Contract {contract} runs to {start}: let it go on until a later day.")
        _check_dates(contract, end)
        contract.end, contract.notice_on = end, None
        if end is None:
            contract.renewal = Contract.Renewal.NONE
        contract.save(update_fields=["end", "notice_on", "renewal"])
        if uplift:
            _raise_prices(contract, start, uplift, user, now)
        return Renewal.objects.create(
            contract=contract, start=start, end=end, uplift=uplift, automatic=automatic, recorded_at=now,
            recorded_by=user,  # type: ignore[misc]
        )  # fmt: skip


def give_notice(*, contract: Contract, on: date | None) -> Contract:
    """Let a contract end as agreed and not renew, notice of it given on a day; None takes the notice back."""
    with transaction.atomic():
        lock_customers([contract.customer_id])
        contract = Contract.objects.select_for_update(of=("self",)).get(pk=contract.pk)
        if contract.end is None:
            raise NotRenewed(f"Contract {contract} has no end: set one instead.")
        last = last_day_of_notice(contract.end, contract.notice_days)
        if on is not None and on > last:
            raise NotRenewed(
                f"Notice for the end on {contract.end} could be given until {last}: it renews; end the new term."
            )
        contract.notice_on = on
        contract.save(update_fields=["notice_on"])
    return contract


def due(*, now: datetime) -> list[int]:
    """The contracts that renew by themselves now: their last day of notice is over, and nobody gave any."""
    latest = (now + timedelta(days=2)).date()  # no zone is further ahead; each is looked at in its own below
    rows = Contract.objects.filter(
        Q(end__isnull=False), state=ContractState.ACTIVE, renewal=Contract.Renewal.AUTOMATIC, notice_on=None
    ).only("id", "end", "notice_days", "timezone")
    found = []
    for row in rows:
        assert row.end is not None  # as was asked for
        last = last_day_of_notice(row.end, row.notice_days)
        if last < latest and last < local_date(now, row.timezone):
            found.append(row.pk)
    return found


def renew_due(*, contract_ids: Sequence[int], now: datetime) -> tuple[int, list[str]]:
    """Renew each contract that is due, in a transaction of its own: how many were, and why others could not be.

    Safe to repeat, and by several at once: who finds that a contract is not due any more leaves it alone.
    """
    done, problems = 0, []
    for contract_id in contract_ids:
        try:
            done += _renew_if_due(contract_id, now)
        except CatalogError as error:
            problems.append(f"Contract {Contract.objects.get(pk=contract_id)} was not renewed: {error}")
    return done, problems


def _renew_if_due(contract_id: int, now: datetime) -> int:
    """Renew a contract for as many terms as are due; all of them, or none."""
    with transaction.atomic():
        contract = Contract.objects.get(pk=contract_id)
        lock_customers([contract.customer_id])
        for count in range(MOST):
            contract.refresh_from_db()
            today = local_date(now, contract.timezone)
            wanted = contract.renewal == Contract.Renewal.AUTOMATIC and contract.notice_on is None
            if not wanted or contract.end is None or last_day_of_notice(contract.end, contract.notice_days) >= today:
                return count
            end = after_term(contract.end, contract.renewal_term)
            renew(contract=contract, end=end, uplift=contract.uplift, automatic=True, user=None, now=now)
    return MOST


def _check_dates(contract: Contract, end: date | None) -> None:
    if contract.billing_dates and (end is None or end > contract.billing_dates[-1]):
        raise NotRenewed(
            f"Contract {contract} is billed on listed dates, the last of which is {contract.billing_dates[-1]}:"
            " add dates up to the new end first."
        )


def _raise_prices(
    contract: Contract, start: date, uplift: Decimal, user: AbstractBaseUser | None, now: datetime
) -> None:
    """Multiply what each subscription pays from the day on, on top of a factor that holds then."""
    at = local_midnight(start, contract.timezone)
    reason = f"Renewal on {start}: {plain(uplift)} % more"
    running = Q(intervals__superseded_at=None) & (Q(intervals__end=None) | Q(intervals__end__gt=at))
    for subscription in Subscription.objects.filter(running, contract=contract).distinct().order_by("pk"):
        subscription.contract = contract
        factor = EXACT.add(Decimal(1), EXACT.divide(uplift, Decimal(100)))
        standing = SubscriptionTerm.objects.filter(
            Q(end=None) | Q(end__gt=at), subscription=subscription, kind=TermKind.FACTOR, code=None, superseded_at=None
        )
        for term in standing.order_by("start"):
            if term.start >= at or term.end is not None:
                raise NotRenewed(
                    f"“{term}” of {subscription} changes prices around {start} too: end it then, or renew at no uplift."
                )
            factor = EXACT.multiply(factor, Decimal(term.value["factor"]))
            term.subscription = subscription
            end_term(term=term, at=start, reason=reason, user=user, now=now)
        set_term(
            subscription=subscription, kind=TermKind.FACTOR, value={"factor": plain(factor)}, start=start,
            reason=reason, user=user, now=now,
        )  # fmt: skip
