"""How terms are written: lock, supersede, insert, and see that what then holds can be resolved."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import pgtrigger
from django.contrib.auth.models import AbstractBaseUser
from django.db import IntegrityError, transaction
from django.db.models import Q

from billing.catalog.agreements import writing
from billing.catalog.errors import Overlap
from billing.catalog.models import Subscription
from billing.catalog.terms import checking, queries
from billing.catalog.terms.models import SubscriptionTerm
from billing.catalog.terms.states import TOGETHER
from billing.periods import local_date
from customers.locks import lock_customers

KEPT: Final = (
    "subscription_id", "kind", "code_id", "charge_id", "meter_id", "value", "start", "ramp", "step", "steps",
)  # fmt: skip
"""What a row that replaces another keeps of it."""


def write(
    subscription: Subscription, fresh: Sequence[SubscriptionTerm], superseded: Sequence[SubscriptionTerm], *,
    reason: str, user: AbstractBaseUser | None, now: datetime,
) -> None:  # fmt: skip
    """Stamp `superseded` and insert `fresh`, all or nothing; TermsError or Overlap says what does not fit."""
    reason = writing.checked(reason)
    with transaction.atomic():
        lock_customers([subscription.contract.customer_id])
        if superseded:
            writing.superseded(superseded, reason=reason, user=user, now=now)
        for row in fresh:
            row.reason, row.recorded_by, row.recorded_at = reason, user, now  # type: ignore[assignment]
            checking.check_within(subscription, row)
            if not row.charge_id:
                checking.check_known(subscription, row)
            _insert(row)
        _check_meters(subscription)
        _try(subscription)


def _insert(row: SubscriptionTerm) -> None:
    others = SubscriptionTerm.objects.filter(
        Q(end=None) | Q(end__gt=row.start), subscription_id=row.subscription_id, kind=row.kind, code_id=row.code_id,
        superseded_at=None,
    )  # fmt: skip
    if row.end is not None:
        others = others.filter(start__lt=row.end)
    taken = None if row.kind in TOGETHER else others.select_related("code").first()
    if taken:
        zone = row.subscription.contract.timezone
        until = f" to {local_date(taken.end, zone)}" if taken.end else " on"
        raise Overlap(
            f"“{taken.get_kind_display()}” of {taken.code or 'all charges'} is agreed from"
            f" {local_date(taken.start, zone)}{until}: end or undo that one first."
        )
    row.save(force_insert=True)


def _check_meters(subscription: Subscription) -> None:
    """Ask the database now what it would ask at the commit: whether two subscriptions count one meter."""
    try:
        with transaction.atomic():
            pgtrigger.constraints(pgtrigger.Immediate, "billing.SubscriptionTerm:term_meters")
    except IntegrityError as error:
        text = str(error).splitlines()[0]
        raise Overlap(f"{text[0].upper()}{text[1:]}: end or change that one first.") from error
    pgtrigger.constraints(pgtrigger.Deferred, "billing.SubscriptionTerm:term_meters")


def _try(subscription: Subscription) -> None:
    """Resolve what now holds; TermsError of what does not fit."""
    contract = subscription.contract
    mine = [row for row in queries.intervals_of([contract.pk])[contract.pk] if row.subscription_id == subscription.pk]
    versions = queries.versions_of({row.version_id for row in mine})
    bound = [queries.bound_by(row, versions, contract.currency) for row in sorted(mine, key=lambda each: each.start)]
    queries.own_terms([contract.pk]).resolved(contract, bound)
