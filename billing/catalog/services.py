"""The verbs of the catalog: make and publish versions; those of subscriptions stand in `changes/services.py`."""

from datetime import datetime

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import Max

from billing.catalog import guards
from billing.catalog.changes.services import change_subscription, end_subscription, subscribe
from billing.catalog.errors import CatalogError, NeedsReason
from billing.catalog.models import Charge, ChargePrice, Plan, PlanVersion
from billing.catalog.states import VersionState, can_move
from billing.pricing import PriceError, parse_price

__all__ = ["change_subscription", "check", "end_subscription", "new_version", "publish", "subscribe"]


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
