"""Whether a change is an increase or a decrease: increases may hold now, and decreases when the period ends (R4.4)."""

from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from billing.catalog.changes.checking import period_end
from billing.catalog.changes.fold import fold, in_force
from billing.catalog.changes.writing import standing_of
from billing.catalog.models import PlanVersion, Subscription
from billing.catalog.terms.dates import calendar_of
from billing.catalog.terms.queries import version_charges, versions_of
from billing.cycles import Cadence
from billing.pricing import rate
from billing.pricing.prices import Flat


def increase_now(
    subscription: Subscription, version: PlanVersion | None, quantity: Decimal | None, now: datetime
) -> datetime:
    """Now where the plan's recurring fees of a year become more, or stay with no smaller quantity; else period end."""
    held = in_force(fold(standing_of([subscription.pk]).get(subscription.pk, ())), now)
    if held is None:
        return now
    after = (version.pk if version else held.version), (held.quantity if quantity is None else quantity)
    versions = versions_of({held.version, after[0]})
    contract = subscription.contract
    fees = [
        (_a_year(versions[pk], many, contract.currency, contract.cadence), many)
        for pk, many in ((held.version, held.quantity), after)
    ]
    return period_end(calendar_of(contract), now) if fees[1] < fees[0] else now


def _a_year(version: PlanVersion, quantity: Decimal, currency: str, cadence: str) -> Fraction:
    """What the recurring fees of a version come to in a year of 365 days."""
    total = Fraction(0)
    for charge in version_charges(version, currency):
        if charge.meter_id is None:
            many = Decimal(1) if isinstance(charge.price.model, Flat) else quantity
            total += Fraction(rate(charge.price, many).unrounded) * _times(Cadence.parse(charge.cadence or cadence))
    return total


def _times(cadence: Cadence) -> Fraction:
    """How often a cadence comes round in a year; listed dates count as once."""
    return Fraction(12, cadence.months) if cadence.months else Fraction(365, cadence.days or 365)
