"""What a subscription may bind, and when: within its contract, published, priced in its currency."""

from datetime import date, datetime, timedelta
from typing import Literal

from django.db.models import Q

from billing.catalog.errors import CatalogError, Retired, Unpublished
from billing.catalog.models import PlanVersion
from billing.catalog.states import VersionState, is_open
from billing.catalog.terms.dates import calendar_of
from billing.cycles import BillingCalendar
from billing.periods import local_date, local_midnight
from customers.models import Contract
from customers.states import ContractState

When = Literal["now", "date", "period_end"]


def check_term(contract: Contract, start: datetime, end: datetime | None) -> None:
    """A subscription stays within its contract; CatalogError otherwise."""
    first = local_midnight(contract.start, contract.timezone)
    last = local_midnight(contract.end, contract.timezone) if contract.end else None
    if start < first or (last and (start >= last or (end and end > last))):
        raise CatalogError(
            f"Contract {contract} runs from {contract.start} to {contract.end or 'open end'}:"
            " choose dates for the subscription within it."
        )
    if end and end <= start:
        raise CatalogError("A subscription ends after it starts.")


def check_version(contract: Contract, version: PlanVersion, *, known: bool = False) -> None:
    """`known`: whether the subscription had this version before, and so may have it again when it is retired."""
    if version.state == VersionState.DRAFT:
        raise Unpublished(version)
    if not is_open(version.state) and not known:
        raise Retired(version)
    priced = Q(prices__currency=contract.currency)
    missing = version.charges.exclude(id__in=version.charges.filter(priced).values("id")).first()
    if missing:
        raise CatalogError(f"“{missing}” of {version} has no price in {contract.currency}, the currency of {contract}.")


def check_cut(contract: Contract, instant: datetime) -> None:
    """Without proration a change waits for the next period (R4.3)."""
    if contract.state != ContractState.ACTIVE or contract.proration != Contract.Proration.NONE:
        return
    calendar = calendar_of(contract)
    if instant > calendar.start:
        cycle = calendar.cycle_at(instant).period
        if cycle.start != instant and cycle.end:
            following = local_date(cycle.end, contract.timezone)
            raise CatalogError(f"Contract {contract} does not prorate: make the change on {following}.")


def moment_of(contract: Contract, when: When, day: date | None, now: datetime) -> datetime:
    """When a change takes effect: now, at the start of a day of the contract's zone, or at the end of this period."""
    if when == "date":
        if day is None:
            raise CatalogError("Say on which day it takes effect.")
        return local_midnight(day, contract.timezone)
    if when == "now":
        return now
    return period_end(calendar_of(contract), now)


def last_day(contract: Contract, when: When, day: date | None, now: datetime) -> datetime:
    """The instant at which a subscription stops; a termination by date ends after that day (R4.4)."""
    after = day + timedelta(days=1) if day is not None else None
    return moment_of(contract, when, after, now)


def period_end(calendar: BillingCalendar, now: datetime) -> datetime:
    """The next boundary of a period after now; the start of the first where none has begun."""
    return calendar.start if now < calendar.start else calendar.cycle_at(now).period.until
