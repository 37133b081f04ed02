"""What subscriptions bind, read for many contracts at once and turned into the plain values that `resolve` takes."""

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from functools import partial

from django.db.models import Prefetch, QuerySet

from billing.catalog.agreements.queries import Agreed
from billing.catalog.changes.anchors import with_calendars
from billing.catalog.changes.fold import read_row_options
from billing.catalog.models import Charge, ChargePrice, PlanVersion, SubscriptionInterval
from billing.catalog.terms.dates import calendar_of
from billing.catalog.terms.errors import NoPrice, TermsError
from billing.catalog.terms.kinds import ReplacePrice, read_value
from billing.catalog.terms.models import SubscriptionTerm
from billing.catalog.terms.resolve import Rates, Resolved, Term, resolve
from billing.catalog.terms.states import TermKind
from billing.catalog.terms.values import NOT_ADDITIVE, ChargeTerms, Interval, Source
from billing.catalog.units.queries import DatedRate, rates_of
from billing.metering.models import Meter
from billing.periods import Period, local_midnight
from billing.pricing import PriceError, parse_price
from customers.knowledge import in_force
from customers.models import Contract

Versions = Mapping[int, PlanVersion]


def charges_with_prices() -> QuerySet[Charge]:
    """Charges with their code, meter and `all_prices`; two queries."""
    prices = Prefetch("prices", ChargePrice.objects.all(), to_attr="all_prices")
    return Charge.objects.select_related("code", "meter").prefetch_related(prices)


def intervals_of(contract_ids: Sequence[int]) -> dict[int, list[SubscriptionInterval]]:
    """The current intervals of each contract's subscriptions; one query."""
    found: dict[int, list[SubscriptionInterval]] = defaultdict(list)
    rows = SubscriptionInterval.objects.filter(subscription__contract_id__among=contract_ids)
    for interval in in_force(rows.select_related("subscription"), "superseded_at"):
        found[interval.subscription.contract_id].append(interval)
    return found


def versions_of(ids: set[int]) -> dict[int, PlanVersion]:
    """Plan versions with their charges, prices and meters; three queries."""
    versions = PlanVersion.objects.filter(id__in=ids).select_related("plan")
    charges = Prefetch("charges", charges_with_prices(), "all_charges")
    return {version.id: version for version in versions.prefetch_related(charges)}


class OwnTerms:
    """Customers' own terms by subscription, and what contracts as a whole `agreed`, where that was read.

    And what custom units are worth, read once for each that is met.
    """

    def __init__(self, rows: Iterable[SubscriptionTerm], agreed: Agreed | None = None) -> None:
        self.agreed = agreed or Agreed()
        self._rows: dict[int, list[SubscriptionTerm]] = defaultdict(list)
        for row in rows:
            self._rows[row.subscription_id].append(row)
        self._rates: dict[tuple[str, str], tuple[DatedRate, ...]] = {}

    def of(self, subscription_id: int) -> list[SubscriptionTerm]:
        """The terms of a subscription, by their start."""
        return self._rows.get(subscription_id, [])

    def without(self, subscription_ids: Container[int]) -> "OwnTerms":
        """The same but for some subscriptions, whose terms are left out."""
        kept = (row for key, rows in self._rows.items() if key not in subscription_ids for row in rows)
        return OwnTerms(kept, self.agreed)

    def resolved(self, contract: Contract, bound: Sequence[Interval]) -> Resolved:
        """What one subscription of the contract binds over time. TermsError where it cannot be told."""
        bound = with_calendars(bound, calendar_of(contract))
        terms = [term_of(row, contract.currency) for row in self.of(bound[0].subscription_id)] if bound else []
        return resolve(bound, terms, self.rates(contract, bound, terms))

    def rates(self, contract: Contract, bound: Sequence[Interval], terms: Sequence[Term]) -> Rates:
        """The rates of every custom unit of these prices, in the contract's currency and zone."""
        prices = [charge.price for each in bound for charge in each.charges]
        prices += [term.charge.price for term in terms if term.charge]
        prices += [term.value.price for term in terms if isinstance(term.value, ReplacePrice)]
        units = {price.custom_unit.code for price in prices if price.custom_unit and price.custom_unit.rate is None}
        found = {}
        for unit in units:
            key = unit, contract.currency
            if key not in self._rates:
                self._rates[key] = rates_of([unit], [contract.currency]).get(key, ())
            found[unit] = [(local_midnight(each.valid_from, contract.timezone), each.rate) for each in self._rates[key]]
        return found


def own_terms(contract_ids: Sequence[int]) -> OwnTerms:
    """The current terms of each subscription of these contracts; one query where there are none."""
    rows = (
        SubscriptionTerm.objects.filter(subscription__contract_id__among=contract_ids)
        .select_related("meter").prefetch_related(Prefetch("charge", charges_with_prices()))
        .order_by("subscription_id", "start", "id")
    )  # fmt: skip
    return OwnTerms(_with_agreed_ends(in_force(rows, "superseded_at")))


def _with_agreed_ends(rows: list[SubscriptionTerm]) -> list[SubscriptionTerm]:
    """The rows; a commitment over its term that was ended otherwise than agreed knows the end that was agreed first.

    One query where there is such a row.
    """
    ended = [row for row in rows if row.kind == TermKind.COMMITMENT and row.replaces_id is not None]
    if ended:
        known = SubscriptionTerm.objects.filter(
            subscription_id__in={row.subscription_id for row in ended}, kind=TermKind.COMMITMENT
        ).in_bulk()
        for row in ended:
            first = row
            while first.replaces_id is not None:
                first = known[first.replaces_id]
            row.agreed_end = max(filter(None, (first.end, row.end)), default=None)
    return rows


def bound_by(interval: SubscriptionInterval, versions: Versions, currency: str) -> Interval:
    """What an interval binds without any term of the customer's own. TermsError where a charge has no price."""
    charges = version_charges(versions[interval.version_id], currency)
    period = Period(interval.start, interval.end)
    begun, ended, anchor = read_row_options(interval.options)
    return Interval(interval.subscription_id, period, interval.quantity, charges, begun, ended, anchor)


def version_charges(version: PlanVersion, currency: str) -> tuple[ChargeTerms, ...]:
    """A version's charges in a currency, kept on the version: contracts of one chunk share it."""
    cache: dict[str, tuple[ChargeTerms, ...]] = version.__dict__.setdefault("terms_by_currency", {})
    if currency not in cache:
        source = Source("version", str(version))
        build = partial(charge_terms, owner=str(version), currency=currency, source=source, plan=version.plan.code)
        cache[currency] = tuple(build(charge) for charge in version.all_charges)  # type: ignore[attr-defined]
    return cache[currency]


def charge_terms(charge: Charge, *, owner: str, currency: str, source: Source, plan: str = "") -> ChargeTerms:
    """A charge with its price in a currency; TermsError names the `owner` that should have one."""
    price = next((each for each in charge.all_prices if each.currency == currency), None)  # type: ignore[attr-defined]
    if price is None:
        raise NoPrice(
            f"“{charge.name}” of {owner} has no price in {currency}: publish a version with one and move the"
            " subscription."
        )
    meter = charge.meter
    return ChargeTerms(
        charge_id=charge.id, code_id=charge.code_id, code=charge.code.code, name=charge.name, position=charge.position,
        in_advance=charge.pay == Charge.Pay.IN_ADVANCE, price=parse_price(price.price), meter_id=charge.meter_id,
        unit=meter.unit if meter else charge.unit or "unit", additive=_additive(meter), cadence=charge.cadence,
        proration=charge.proration, window=charge.window,  # type: ignore[arg-type]
        group=charge.invoice_group, tax_code=charge.tax_code, plan=plan, sources=(source,),
    )  # fmt: skip


def term_of(row: SubscriptionTerm, currency: str) -> Term:
    """A row as the plain value that `resolve` takes."""
    try:
        value = read_value(row.kind, row.value)
    except PriceError as error:
        raise TermsError(f"{row}: {error}") from error
    source = source_of(row)
    other = None
    if row.charge:
        other = charge_terms(row.charge, owner="its own", currency=currency, source=source)
    elif row.meter:
        other = ChargeTerms(
            charge_id=0, code_id=0, name="", position=0, in_advance=False, price=NO_PRICE, meter_id=row.meter.pk,
            unit=row.meter.unit, additive=_additive(row.meter),
        )  # fmt: skip
    return Term(value, Period(row.start, row.end), source, row.code_id, other, row.agreed_end)


def source_of(row: SubscriptionTerm) -> Source:
    """Where a term comes from, in words: “Discount”, or of a ramp “Price, step 2 of 4”."""
    label = row.get_kind_display()
    if row.step is None:
        return Source("term", label, row.pk)
    return Source("ramp", f"{label}, step {row.step} of {row.steps}", row.pk)


def _additive(meter: Meter | None) -> bool:
    return meter is None or meter.aggregation not in NOT_ADDITIVE


NO_PRICE = parse_price({"model": "flat", "amount": "0"})
"""What a meter costs when only its unit is told of."""
