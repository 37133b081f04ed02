"""The verbs of the catalog: make and publish versions, subscribe contracts to them, change and end subscriptions."""

from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal

from django.contrib.auth.models import AbstractBaseUser
from django.db import IntegrityError, transaction
from django.db.models import Max, Q

from billing.catalog import guards
from billing.catalog.errors import CatalogError, NeedsReason, Overlap, Retired, Unpublished
from billing.catalog.models import Charge, ChargePrice, Plan, PlanVersion, Subscription, SubscriptionInterval
from billing.catalog.states import VersionState, can_move, is_open
from billing.catalog.terms.dates import calendar_of
from billing.periods import local_date, local_midnight
from billing.pricing import PriceError, parse_price
from customers.locks import lock_customers
from customers.models import Contract
from customers.states import ContractState


def new_version(*, plan: Plan, note: str = "", copy_of: PlanVersion | None = None) -> PlanVersion:
    """A draft version of a plan, with the charges and prices of `copy_of` where one is given."""
    with transaction.atomic():
        Plan.objects.select_for_update().get(id=plan.id)  # two at once take two numbers
        last = plan.versions.aggregate(last=Max("number"))["last"] or 0
        version = PlanVersion.objects.create(plan=plan, number=last + 1, note=note)
        for charge in copy_of.charges.all() if copy_of else []:
            prices = list(charge.prices.all())
            charge.pk, charge.version = None, version
            charge.save(force_insert=True)
            ChargePrice.objects.bulk_create(
                [ChargePrice(charge=charge, currency=each.currency, price=each.price) for each in prices]
            )
    return version


def publish(*, version: PlanVersion, user: AbstractBaseUser | None, now: datetime, reason: str = "") -> PlanVersion:
    """Freeze a draft version: from now on customers can be subscribed to it, and nothing below it changes.

    CatalogError when it has no charges, a charge lacks a price, or a price is not valid (with its path). Where the
    guards warn, `reason` says why it is right all the same, and is kept with the warnings; NeedsReason without one.
    """
    with transaction.atomic():
        version = PlanVersion.objects.select_for_update(of=("self",)).select_related("plan__product").get(id=version.id)
        warnings = check(version=version, now=now)
        if warnings and not reason.strip():
            raise NeedsReason(version, warnings)
        version.warnings, version.reason = warnings, reason.strip() if warnings else ""
        version.state, version.published_at, version.problem = VersionState.PUBLISHED, now, ""
        version.published_by = user  # type: ignore[assignment]
        version.save(update_fields=["state", "published_at", "published_by", "warnings", "reason", "problem"])
    return version


def check(*, version: PlanVersion, now: datetime) -> list[str]:
    """The warnings that publishing a version would raise now; CatalogError for what forbids it. Constant queries."""
    if not can_move(version.state, VersionState.PUBLISHED):
        raise CatalogError(f"{version} is {version.get_state_display().lower()} already.")
    charges = list(version.charges.select_related("code", "meter").prefetch_related("prices"))
    if not charges:
        raise CatalogError(f"{version} has no charges: add one before you publish it.")
    for charge in charges:
        _check_charge(charge, version)
    guards.check_units(charges)
    return guards.warnings_of(version, charges, now)


def _check_charge(charge: Charge, version: PlanVersion) -> None:
    prices = list(charge.prices.all())
    if not prices:
        raise CatalogError(f"“{charge}” of {version} has no price: add one, in each currency that you sell it in.")
    if charge.code.product_id != version.plan.product_id:
        raise CatalogError(f"“{charge}” has a charge code of another product: choose one of {version.plan.product}.")
    for each in prices:
        try:
            price = parse_price(each.price, f"{charge.code.code}.{each.currency}")
        except PriceError as error:
            raise CatalogError(f"{error.path}: {error.message}") from error
        if price.currency != each.currency:
            raise CatalogError(f"The price of “{charge}” in {each.currency} says {price.currency}: make them agree.")


def subscribe(
    *, contract: Contract, version: PlanVersion, code: str, start: date | datetime, now: datetime,
    end: date | datetime | None = None, quantity: Decimal = Decimal(1),
) -> Subscription:  # fmt: skip
    """Bind a contract to a published plan version over `[start, end)`; dates are local midnights in its zone.

    Unpublished, Overlap or CatalogError with the way out; nothing is kept then.
    """
    begin, until = _instant(start, contract), _instant(end, contract) if end else None
    _check_term(contract, begin, until)
    _check_version(contract, version)
    with transaction.atomic():
        lock_customers([contract.customer_id])
        if contract.subscriptions.filter(code=code).exists():
            raise Overlap(f"{contract} has a subscription “{code}”: change that one, or choose another code.")
        subscription = Subscription.objects.create(contract=contract, product=version.plan.product, code=code)
        _insert(subscription, [SubscriptionInterval(version=version, quantity=quantity, start=begin, end=until)], now)
    return subscription


def change_subscription(
    *, subscription: Subscription, at: date | datetime, now: datetime,
    version: PlanVersion | None = None, quantity: Decimal | None = None,
) -> None:  # fmt: skip
    """From `at` on (whose day belongs to the new terms, R4.4) bind another version or quantity.

    The rows that reach beyond `at` are superseded and replaced, each with what it does not change.
    """
    contract = subscription.contract
    instant = _instant(at, contract)
    _check_change(contract, instant)
    if version:
        _check_version(contract, version, known=subscription.intervals.filter(version=version).exists())
        if version.plan.product_id != subscription.product_id:
            raise CatalogError(f"{version} is of another product: subscribe to it instead of changing {subscription}.")
    with transaction.atomic():
        lock_customers([contract.customer_id])
        rows = _current_after(subscription, instant)
        if not rows:
            raise CatalogError(f"{subscription} is not in force on {local_date(instant, contract.timezone)}.")
        fresh = [_before(row, instant) for row in rows if row.start < instant]
        fresh += [
            SubscriptionInterval(
                version=version or row.version, quantity=row.quantity if quantity is None else quantity,
                start=max(row.start, instant), end=row.end,
            )
            for row in rows
        ]  # fmt: skip
        _supersede(rows, now)
        _insert(subscription, fresh, now)


def end_subscription(*, subscription: Subscription, at: date | datetime, now: datetime) -> None:
    """Stop a subscription at `at` (exclusive): what was billed beyond it is credited by the next run."""
    contract = subscription.contract
    instant = _instant(at, contract)
    _check_change(contract, instant)
    with transaction.atomic():
        lock_customers([contract.customer_id])
        rows = _current_after(subscription, instant)
        if not rows:
            raise CatalogError(f"{subscription} has ended before {local_date(instant, contract.timezone)}.")
        _supersede(rows, now)
        _insert(subscription, [_before(row, instant) for row in rows if row.start < instant], now)


def _instant(at: date | datetime, contract: Contract) -> datetime:
    return at if isinstance(at, datetime) else local_midnight(at, contract.timezone)


def _check_term(contract: Contract, start: datetime, end: datetime | None) -> None:
    first = local_midnight(contract.start, contract.timezone)
    last = local_midnight(contract.end, contract.timezone) if contract.end else None
    if start < first or (last and (start >= last or (end and end > last))):
        raise CatalogError(
            f"Contract {contract} runs from {contract.start} to {contract.end or 'open end'}:"
            " choose dates for the subscription within it."
        )
    if end and end <= start:
        raise CatalogError("A subscription ends after it starts.")


def _check_version(contract: Contract, version: PlanVersion, *, known: bool = False) -> None:
    """`known`: whether the subscription had this version before, and so may have it again when it is retired."""
    if version.state == VersionState.DRAFT:
        raise Unpublished(version)
    if not is_open(version.state) and not known:
        raise Retired(version)
    priced = Q(prices__currency=contract.currency)
    missing = version.charges.exclude(id__in=version.charges.filter(priced).values("id")).first()
    if missing:
        raise CatalogError(f"“{missing}” of {version} has no price in {contract.currency}, the currency of {contract}.")


def _check_change(contract: Contract, instant: datetime) -> None:
    """Without proration a change waits for the next period (R4.3)."""
    if contract.state != ContractState.ACTIVE or contract.proration != Contract.Proration.NONE:
        return
    calendar = calendar_of(contract)
    if instant > calendar.start:
        cycle = calendar.cycle_at(instant).period
        if cycle.start != instant and cycle.end:
            following = local_date(cycle.end, contract.timezone)
            raise CatalogError(f"Contract {contract} does not prorate: make the change on {following}.")


def _current_after(subscription: Subscription, instant: datetime) -> list[SubscriptionInterval]:
    current = subscription.intervals.select_for_update().filter(superseded_at=None)
    return list(current.filter(Q(end=None) | Q(end__gt=instant)).order_by("start"))


def _before(row: SubscriptionInterval, instant: datetime) -> SubscriptionInterval:
    return SubscriptionInterval(version=row.version, quantity=row.quantity, start=row.start, end=instant)


def _supersede(rows: Iterable[SubscriptionInterval], now: datetime) -> None:
    SubscriptionInterval.objects.filter(id__in=[row.id for row in rows]).update(superseded_at=now)


def _insert(subscription: Subscription, rows: list[SubscriptionInterval], now: datetime) -> None:
    for row in rows:
        row.subscription, row.recorded_at = subscription, now
    try:
        with transaction.atomic():
            SubscriptionInterval.objects.bulk_create(rows)
    except IntegrityError as error:
        raise _refusal(error, subscription, rows) from error


def _refusal(error: IntegrityError, subscription: Subscription, rows: list[SubscriptionInterval]) -> CatalogError:
    """The database's own words where a trigger of ours refused; it is the last to know."""
    text = str(error).splitlines()[0]
    if text.startswith("meter "):
        return Overlap(f"{text[0].upper()}{text[1:]}: end or change that one first.")
    if text.startswith("a retired plan version"):
        return Retired(" or ".join(sorted({str(row.version) for row in rows})))
    return Overlap(
        f"{subscription} would bind two plan versions at the same time: change the interval that is in force."
    )
