"""The verbs of trials and pauses: each states a dated fact, and the next run credits and charges what it changes."""

from datetime import date, datetime

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import Q

from billing.catalog.free.errors import FreeTimeError
from billing.catalog.free.models import SubscriptionFreeTime
from billing.catalog.models import Subscription
from billing.catalog.terms.dates import check_cut, instant
from billing.periods import local_date
from customers.locks import lock_customers

Day = date | datetime
Kind = SubscriptionFreeTime.Kind


def start_trial(
    *, subscription: Subscription, end: Day, reason: str, user: AbstractBaseUser | None, now: datetime,
    start: Day | None = None, usage_free: bool = False,
) -> SubscriptionFreeTime:  # fmt: skip
    """Let a subscription cost no fee until `end`, from its first day unless `start` is given; once per customer and
    product (R4.6). FreeTimeError, or TermsError where the contract does not prorate and the start cuts a period.
    """
    contract = subscription.contract
    with transaction.atomic():
        lock_customers([contract.customer_id])
        before = SubscriptionFreeTime.objects.filter(
            customer_id=contract.customer_id, product_id=subscription.product_id, kind=Kind.TRIAL, undone_at=None
        ).first()
        if before:
            raise FreeTimeError(
                f"{contract.customer} has a trial of {subscription.product} from"
                f" {local_date(before.start, contract.timezone)}: a customer tries a product once."
            )
        row = SubscriptionFreeTime(kind=Kind.TRIAL, fees=True, usage=usage_free, end=instant(end, contract))
        row.start = _begin(subscription) if start is None else instant(start, contract)
        if start is not None:
            check_cut(contract, row.start)
        return _write(subscription, row, reason, user, now)


def pause(
    *, subscription: Subscription, start: Day, reason: str, user: AbstractBaseUser | None, now: datetime,
    end: Day | None = None, keep_fee: bool = False, usage_free: bool = False,
) -> SubscriptionFreeTime:  # fmt: skip
    """Let a subscription rest over `[start, end)`: no fee is wanted in it, unless it is kept (R4.6). Without an end it
    rests until it is ended. FreeTimeError, or TermsError where the contract does not prorate and a bound cuts a period.
    """
    contract = subscription.contract
    until = instant(end, contract) if end is not None else None
    row = SubscriptionFreeTime(
        kind=Kind.PAUSE, start=instant(start, contract), end=until, fees=not keep_fee, usage=usage_free
    )
    for bound in filter(None, (row.start, row.end)):
        check_cut(contract, bound)
    with transaction.atomic():
        lock_customers([contract.customer_id])
        return _write(subscription, row, reason, user, now)


def end_free_time(
    *, free: SubscriptionFreeTime, at: Day, reason: str, user: AbstractBaseUser | None, now: datetime
) -> SubscriptionFreeTime:
    """Let a trial or a pause end at `at`, earlier or later than it was to; what it did before stands."""
    subscription = free.subscription
    contract = subscription.contract
    until = instant(at, contract)
    if until <= free.start:
        raise FreeTimeError(f"“{free}” would end before it starts: undo it instead, as if it had never been.")
    if until == free.end:
        raise FreeTimeError(f"“{free}” ends then already.")
    if free.kind == Kind.PAUSE:
        check_cut(contract, until)
    with transaction.atomic():
        lock_customers([contract.customer_id])
        _stamp(free, reason, user, now)
        row = SubscriptionFreeTime(
            kind=free.kind, start=free.start, end=until, fees=free.fees, usage=free.usage, replaces=free
        )
        return _write(subscription, row, reason, user, now)


def undo_free_time(
    *, free: SubscriptionFreeTime, reason: str, user: AbstractBaseUser | None, now: datetime
) -> None:  # fmt: skip
    """Take a trial or a pause back as if it had never been: the next run charges what it left out."""
    with transaction.atomic():
        lock_customers([free.subscription.contract.customer_id])
        _stamp(free, reason, user, now)


def _begin(subscription: Subscription) -> datetime:
    """When the subscription first binds anything."""
    first = subscription.intervals.filter(superseded_at=None).order_by("start").first()
    if first is None:
        raise FreeTimeError(f"{subscription} binds nothing any more: there is nothing to try.")
    return first.start


def _write(
    subscription: Subscription, row: SubscriptionFreeTime, reason: str, user: AbstractBaseUser | None, now: datetime
) -> SubscriptionFreeTime:
    """Insert a row that fits; the customer's lock is held, so that what is checked stays so."""
    contract = subscription.contract
    kind = row.get_kind_display()
    if row.end is not None and row.end <= row.start:
        raise FreeTimeError(f"A {kind.lower()} ends after it starts: choose a later end.")
    current = subscription.intervals.filter(superseded_at=None)
    if not current.filter(Q(end=None) | Q(end__gt=row.start), start__lte=row.start).exists():
        day = local_date(row.start, contract.timezone)
        raise FreeTimeError(f"{subscription} is not in force on {day}: choose a day on which it is.")
    others = SubscriptionFreeTime.objects.filter(
        Q(end=None) | Q(end__gt=row.start), subscription=subscription, undone_at=None
    )
    taken = (others.filter(start__lt=row.end) if row.end else others).first()
    if taken:
        until = f" to {local_date(taken.end, contract.timezone)}" if taken.end else " on"
        raise FreeTimeError(
            f"{subscription} has a {taken.get_kind_display().lower()} from"
            f" {local_date(taken.start, contract.timezone)}{until}: end or undo that one first."
        )
    row.subscription, row.reason, row.recorded_at = subscription, _said(reason), now
    row.customer_id, row.product_id, row.recorded_by = contract.customer_id, subscription.product_id, user  # type: ignore[assignment]
    row.save(force_insert=True)
    return row


def _stamp(free: SubscriptionFreeTime, reason: str, user: AbstractBaseUser | None, now: datetime) -> None:
    """Take a row back, once; who comes second is told."""
    current = SubscriptionFreeTime.objects.filter(pk=free.pk, undone_at=None)
    if not current.update(undone_at=now, undone_by=user, undone_reason=_said(reason)):
        raise FreeTimeError("This was changed meanwhile: look at the trials and pauses again.")


def _said(reason: str) -> str:
    """Why, in one line."""
    reason = reason.strip()
    if not reason or len(reason) > 300:
        raise FreeTimeError("Say why, in 300 characters at most: whoever reads it in a year will want to know.")
    return reason
