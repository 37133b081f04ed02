"""The verbs of subscriptions: subscribe, change, end, undo. Each records facts; intervals follow from them (R4.4)."""

from datetime import date, datetime
from decimal import Decimal

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from billing.catalog.changes import checking, writing
from billing.catalog.changes.fold import fold, in_force
from billing.catalog.changes.models import SubscriptionChange
from billing.catalog.changes.options import DEFAULT, Options
from billing.catalog.errors import CatalogError, Overlap
from billing.catalog.models import PlanVersion, Subscription
from billing.catalog.terms.dates import instant
from billing.periods import local_date
from customers.locks import lock_customers
from customers.models import Contract

Day = date | datetime


def subscribe(
    *, contract: Contract, version: PlanVersion, code: str, start: Day, now: datetime,
    end: Day | None = None, quantity: Decimal = Decimal(1), reason: str = "", user: AbstractBaseUser | None = None,
) -> Subscription:  # fmt: skip
    """Bind a contract to a published plan version over `[start, end)`; dates are local midnights in its zone.

    Unpublished, Overlap or CatalogError with the way out; nothing is kept then.
    """
    begin, until = instant(start, contract), instant(end, contract) if end else None
    checking.check_term(contract, begin, until)
    checking.check_version(contract, version)
    with transaction.atomic():
        lock_customers([contract.customer_id])
        if contract.subscriptions.filter(code=code).exists():
            raise Overlap(f"{contract} has a subscription “{code}”: change that one, or choose another code.")
        subscription = Subscription.objects.create(contract=contract, product=version.plan.product, code=code)
        said = {"subscription": subscription, "reason": reason, "recorded_at": now, "recorded_by": user}
        rows = [SubscriptionChange(at=begin, version=version, quantity=quantity, runs=True, **said)]
        rows += [SubscriptionChange(at=until, runs=False, **said)] if until else []
        writing.record(rows, now)
    return subscription


def change_subscription(
    *, subscription: Subscription, at: Day, now: datetime, version: PlanVersion | None = None,
    quantity: Decimal | None = None, options: Options = DEFAULT, reason: str = "",
    user: AbstractBaseUser | None = None,
) -> SubscriptionChange:  # fmt: skip
    """From `at` on (whose day belongs to the new terms, R4.4) bind another version or quantity, or both.

    Each holds until the next change of the same thing, recorded before or after this one. A change at the same instant
    of the same thing is replaced, of another is combined. CatalogError says what does not fit; nothing is kept then.
    """
    if version is None and quantity is None:
        raise CatalogError(f"Say what changes of {subscription}: its plan version, its quantity, or both.")
    contract = subscription.contract
    moment = instant(at, contract)
    checking.check_cut(contract, moment)
    if version:
        known = subscription.intervals.filter(version=version).exists()
        checking.check_version(contract, version, known=known)
        if version.plan.product_id != subscription.product_id:
            raise CatalogError(f"{version} is of another product: subscribe to it instead of changing {subscription}.")
    row = SubscriptionChange(at=moment, version=version, quantity=quantity)
    return _recorded(subscription, row, options, reason, user, now)


def end_subscription(
    *, subscription: Subscription, at: Day, now: datetime, options: Options = DEFAULT, reason: str = "",
    user: AbstractBaseUser | None = None,
) -> SubscriptionChange:  # fmt: skip
    """Stop a subscription at `at` (exclusive): what was billed beyond it is credited by the next run, or not.

    `checking.last_day` turns the last day of a termination into that instant (R4.4).
    """
    checking.check_cut(subscription.contract, instant(at, subscription.contract))
    row = SubscriptionChange(at=instant(at, subscription.contract), runs=False)
    return _recorded(subscription, row, options, reason, user, now)


def undo_change(
    *, change: SubscriptionChange, reason: str, user: AbstractBaseUser | None, now: datetime
) -> SubscriptionChange:
    """Take a change back as if it had never been agreed; what was billed under it is credited and charged anew.

    One whose time has come can be undone while no later fact builds upon it. CatalogError says why not.
    """
    reason = reason.strip()
    if not reason:
        raise CatalogError("Say why it is undone: whoever reads this in a year will want to know.")
    if len(reason) > 300:
        raise CatalogError("The reason is too long: say it in 300 characters.")
    subscription = change.subscription
    with transaction.atomic():
        lock_customers([subscription.contract.customer_id])
        standing = SubscriptionChange.objects.filter(subscription=subscription, undone_at=None)
        if change.runs:
            raise CatalogError(f"{subscription} begins with this: end it instead, on its first day if need be.")
        later = standing.filter(at__gte=change.at, pk__gt=change.pk).order_by("at").first()
        if change.at <= now and later:
            day = local_date(later.at, subscription.contract.timezone)
            raise CatalogError(f"The change of {day} was made on top of this one: undo that one first.")
        stamp = {"undone_at": now, "undone_by": user, "undone_reason": reason}
        if not standing.filter(pk=change.pk).update(**stamp):
            raise CatalogError("This change was undone meanwhile: look at the subscription again.")
        writing.project([subscription], now)
    change.refresh_from_db()
    return change


def _recorded(
    subscription: Subscription, row: SubscriptionChange, options: Options, reason: str, user: AbstractBaseUser | None,
    now: datetime,
) -> SubscriptionChange:  # fmt: skip
    """Insert a change of what is in force at its time."""
    contract = subscription.contract
    row.subscription, row.options, row.reason = subscription, options.to_json(), reason.strip()[:300]
    row.recorded_at, row.recorded_by = now, user  # type: ignore[assignment]
    with transaction.atomic():
        lock_customers([contract.customer_id])
        bound = fold(writing.standing_of([subscription.pk]).get(subscription.pk, ()))
        day = local_date(row.at, contract.timezone)
        if bound and row.at < bound[0].start:
            first = local_date(bound[0].start, contract.timezone)
            raise CatalogError(f"{subscription} starts on {first}, after {day}: choose a later day.")
        if in_force(bound, row.at) is None:
            raise CatalogError(
                f"{subscription} has ended before {day}: undo its end first, or subscribe anew."
                if bound else f"{subscription} is not in force on {day}."
            )  # fmt: skip
        _check_new(row, day)
        writing.record([row], now)
    return row


def _check_new(row: SubscriptionChange, day: date) -> None:
    """Whether the last word on that instant is another: the second of two clicks says nothing new."""
    standing = SubscriptionChange.objects.filter(subscription=row.subscription, at=row.at, undone_at=None)
    last = standing.order_by("-pk").first()
    said = ("version_id", "quantity", "runs", "options")
    if last and [getattr(last, name) for name in said] == [getattr(row, name) for name in said]:
        raise CatalogError(f"This change of {row.subscription} on {day} was recorded already: nothing was added.")
