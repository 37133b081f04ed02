"""Starting a plan from a ready-made one: meters and units that are missing, product, plan and a draft version."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from billing.catalog.builder.starters import Starter
from billing.catalog.models import PlanVersion
from billing.catalog.plan_files import import_plan
from billing.catalog.units.models import ConversionRate, CustomUnit
from billing.metering.meters.checking import check_meter
from billing.metering.models import Meter


def start_plan(
    *, starter: Starter, meters: Mapping[str, Meter], product: tuple[str, str], plan: tuple[str, str],
    today: date, user: AbstractBaseUser | None,
) -> PlanVersion:  # fmt: skip
    """Make a draft version of a ready-made plan, and what it needs; all of it or nothing.

    `meters` says by the starter's own code which meter counts: a saved one, or an unsaved one that is made. `product`
    and `plan` are code and name. Units that exist keep their worth; new ones have the starter's from `today` on.
    PlanFileError or MeterError when something of the same code says otherwise.
    """
    with transaction.atomic():
        for meter in meters.values():
            if meter._state.adding:
                check_meter(meter)
                meter.save(force_insert=True)
        for unit in starter.units:
            _make_unit(unit.code, unit.name, unit.places, unit.rates, today, user)
        charges = tuple(
            replace(charge, meter=meters[charge.meter].code) if charge.meter else charge
            for charge in starter.plan.charges
        )
        names = {"product": product[0], "product_name": product[1], "plan": plan[0], "plan_name": plan[1]}
        return import_plan(replace(starter.plan, charges=charges, **names))


def _make_unit(
    code: str, name: str, places: int, rates: Mapping[str, str], today: date, user: AbstractBaseUser | None
) -> None:
    """A custom unit with its first worth, where there is none of its code."""
    unit, made = CustomUnit.objects.get_or_create(code=code, defaults={"name": name, "places": places})
    if made:
        ConversionRate.objects.bulk_create(
            [
                ConversionRate(unit=unit, currency=currency, rate=Decimal(rate), valid_from=today, created_by=user)  # type: ignore[misc]
                for currency, rate in rates.items()
            ]
        )
