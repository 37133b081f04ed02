"""Facts from the database as the plain values of `terms.py`: a chunk of contracts in a constant number of queries."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime

from django.db.models import Prefetch

from billing.catalog.models import Charge, ChargePrice, PlanVersion, SubscriptionInterval
from billing.cycles import BillingCalendar, Cadence
from billing.invoicing.errors import MissingPrice
from billing.invoicing.terms import NOT_ADDITIVE, ChargeTerms, ContractTerms, Interval
from billing.periods import Period, local_midnight
from billing.pricing import parse_price
from customers.models import Contract

Versions = dict[int, PlanVersion]


def intervals_of(contract_ids: Sequence[int]) -> dict[int, list[SubscriptionInterval]]:
    """The current intervals of each contract's subscriptions; one query."""
    found: dict[int, list[SubscriptionInterval]] = defaultdict(list)
    current = SubscriptionInterval.objects.filter(
        subscription__contract_id__in=contract_ids, superseded_at=None
    ).select_related("subscription")
    for interval in current:
        found[interval.subscription.contract_id].append(interval)
    return found


def versions_of(ids: set[int]) -> Versions:
    """Plan versions with their charges, prices and meters; three queries."""
    charges = Charge.objects.select_related("meter").prefetch_related(
        Prefetch("prices", ChargePrice.objects.all(), to_attr="all_prices")
    )
    versions = PlanVersion.objects.filter(id__in=ids).select_related("plan")
    return {version.id: version for version in versions.prefetch_related(Prefetch("charges", charges, "all_charges"))}


def contract_terms(contract: Contract, intervals: Sequence[SubscriptionInterval], versions: Versions) -> ContractTerms:
    """A contract as the rules see it. MissingPrice where a bound charge has none in the contract's currency."""
    start = local_midnight(contract.start, contract.timezone)
    end = local_midnight(contract.end, contract.timezone) if contract.end else None
    return ContractTerms(
        contract_id=contract.id, customer_id=contract.customer_id, entity_id=contract.entity_id,
        currency=contract.currency, proration=contract.proration, term=Period(start, end),
        calendar=calendar_of(contract),
        intervals=tuple(
            Interval(
                subscription_id=each.subscription_id, period=Period(each.start, each.end), quantity=each.quantity,
                charges=tuple(_charges(versions[each.version_id], contract.currency)),
            )
            for each in intervals
        ),
    )  # fmt: skip


def calendar_of(contract: Contract) -> BillingCalendar:
    """The cycles of a contract, in its own time zone (R4.1)."""
    start = local_midnight(contract.start, contract.timezone)
    return BillingCalendar(Cadence.parse(contract.cadence), start, contract.timezone, contract.anchor_day)


def as_of_instant(as_of: date, contract: Contract) -> datetime:
    """An as_of date means the start of that day in each contract's zone."""
    return local_midnight(as_of, contract.timezone)


def _charges(version: PlanVersion, currency: str) -> list[ChargeTerms]:
    """A version's charges in a currency, kept on the version: contracts of one chunk share it."""
    cache: dict[str, list[ChargeTerms]] = version.__dict__.setdefault("terms_by_currency", {})
    if currency not in cache:
        cache[currency] = [_charge(charge, version, currency) for charge in version.all_charges]  # type: ignore[attr-defined]
    return cache[currency]


def _charge(charge: Charge, version: PlanVersion, currency: str) -> ChargeTerms:
    price = next((each for each in charge.all_prices if each.currency == currency), None)  # type: ignore[attr-defined]
    if price is None:
        raise MissingPrice(charge.name, str(version), currency)
    meter = charge.meter
    return ChargeTerms(
        charge_id=charge.id, code_id=charge.code_id, name=charge.name, position=charge.position,
        in_advance=charge.pay == Charge.Pay.IN_ADVANCE, price=parse_price(price.price),
        meter_id=charge.meter_id, unit=meter.unit if meter else charge.unit or "unit",
        additive=meter is None or meter.aggregation not in NOT_ADDITIVE,
    )  # fmt: skip
