"""What custom units are worth: read by the resolution of terms and by the checks before publication."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from billing.catalog.units.models import ConversionRate
from customers.knowledge import in_force


@dataclass(frozen=True, slots=True)
class DatedRate:
    """One unit is worth `rate` of a currency from local midnight of `valid_from` in each contract's zone."""

    valid_from: date
    rate: Decimal


def rates_of(units: Iterable[str], currencies: Iterable[str]) -> dict[tuple[str, str], tuple[DatedRate, ...]]:
    """The rates of units (by code) by (code, currency), the earliest first; pairs without one are left out. One query.

    The first rate holds for what was before it too: a price that is older than its rate still has an amount.
    """
    wanted, into = set(units), set(currencies)
    if not wanted or not into:
        return {}
    rows = ConversionRate.objects.filter(unit__code__in=wanted, currency__in=into).select_related("unit")
    found: dict[tuple[str, str], tuple[DatedRate, ...]] = {}
    for row in in_force(rows.order_by("valid_from")):
        key = row.unit.code, row.currency
        found[key] = (*found.get(key, ()), DatedRate(row.valid_from, row.rate))
    return found
