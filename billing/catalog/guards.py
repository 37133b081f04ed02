"""What deserves a second look before a version is published: a constant number of queries, whatever it charges."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Count, Min, Q

from billing.catalog.errors import CatalogError
from billing.catalog.models import Charge, PlanVersion, SubscriptionInterval
from billing.catalog.price_rules import price_warnings
from billing.catalog.units.models import CustomUnit
from billing.catalog.units.queries import rates_of
from billing.metering.silence import silent
from billing.pricing import parse_price, price_to_json

SILENCE: Final = timedelta(days=30)
"""A meter that counted nothing for so long may be a wrong one."""


def warnings_of(version: PlanVersion, charges: Sequence[Charge], now: datetime) -> list[str]:
    """A sentence for each thing about a valid version that somebody should confirm; two queries.

    `charges` are the version's, with code, meter and prices at hand.
    """
    found = [
        f"“{charge}” in {row.currency}: {sentence}."
        for charge in charges
        for row in charge.prices.all()
        for sentence in price_warnings(price_to_json(parse_price(row.price)), unit_of(charge))
    ]
    return found + _silent(charges, now) + _unsold(version, charges, now)


def unit_of(charge: Charge) -> str:
    """What a charge counts, in the singular."""
    return charge.meter.unit if charge.meter else charge.unit or "unit"


def _silent(charges: Sequence[Charge], now: datetime) -> list[str]:
    quiet = silent({charge.meter_id for charge in charges if charge.meter_id}, now - SILENCE)
    return [
        f"“{charge}” counts with the meter {charge.meter.name}, which had no events "
        + ("yet." if charge.meter.recurring else f"for {SILENCE.days} days.")
        for charge in charges
        if charge.meter is not None and charge.meter_id in quiet
    ]


def _unsold(version: PlanVersion, charges: Sequence[Charge], now: datetime) -> list[str]:
    """Currencies in which customers of this plan pay and a charge has no price: they could not come along."""
    bound = SubscriptionInterval.objects.filter(version__plan_id=version.plan_id, superseded_at=None)
    customers = (
        bound.filter(Q(end=None) | Q(end__gt=now))
        .values("subscription__contract__currency")
        .annotate(
            customers=Count("subscription__contract__customer", distinct=True),
            name=Min("subscription__contract__customer__legal_name"),
        )
        .order_by("subscription__contract__currency")
        .values_list("subscription__contract__currency", "customers", "name")
    )
    found = []
    for currency, count, name in customers:
        who = name if count == 1 else f"{name} and {count - 1:,} more"
        found += [
            f"“{charge}” has no price in {currency}, in which {who} of this plan pay{'s' if count == 1 else ''}."
            for charge in charges
            if currency not in {row.currency for row in charge.prices.all()}
        ]
    return found


def check_units(charges: Sequence[Charge]) -> None:
    """A price in a custom unit needs the unit, and what it is worth in the price's currency; at most two queries.

    CatalogError names the charge and the way out.
    """
    rows = [
        (charge, row.currency, unit)
        for charge in charges
        for row in charge.prices.all()
        if (unit := row.price.get("custom_unit"))
    ]
    if not rows:
        return
    codes = {unit["code"] for _, _, unit in rows}
    known = dict(CustomUnit.objects.filter(code__in=codes).values_list("code", "places"))
    rates = rates_of(codes, {currency for _, currency, _ in rows})
    for charge, currency, unit in rows:
        code = unit["code"]
        if code not in known:
            raise CatalogError(f"“{charge}” is priced in {code}, which is no custom unit: make it first.")
        if unit.get("places", 0) != known[code]:
            places = unit.get("places", 0)
            raise CatalogError(f"“{charge}” rounds {code} to {places} decimal places: the unit has {known[code]}.")
        if "rate" not in unit and (code, currency) not in rates:
            raise CatalogError(f"“{charge}” is priced in {code}, which has no rate in {currency}: add one first.")
