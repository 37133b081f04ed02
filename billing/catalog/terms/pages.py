"""What the pages of a subscription print: its own terms as rows, what was done to them, and what holds on a day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from billing.catalog.models import Subscription, SubscriptionInterval
from billing.catalog.terms import queries
from billing.catalog.terms.errors import TermsError
from billing.catalog.terms.kinds import RemoveCharge, Spend, read_value
from billing.catalog.terms.models import SubscriptionTerm
from billing.catalog.terms.resolve import Rates, Term, charges_at, resolve
from billing.catalog.terms.values import ChargeTerms, Interval, Source
from billing.catalog.terms.wording import filters_in_words, spend_in_words, term_in_words
from billing.catalog.wording import price_in_words
from billing.cycles import Cadence
from billing.periods import local_date, local_midnight
from billing.pricing import PriceError, parse_price
from billing.pricing.prices import Flat
from customers.backoffice import NONE, quantity_text


@dataclass(frozen=True)
class Row:
    """A term of the table: what it is about, what it says, and its days in the contract's zone."""

    term: SubscriptionTerm
    about: str
    words: str
    start: date
    end: date | None
    now: bool

    @property
    def fact(self) -> SubscriptionTerm:
        """As the timeline calls it."""
        return self.term

    @property
    def what(self) -> str:
        """“discount of Tokens”."""
        return f"{self.term.get_kind_display().lower()} of {self.about}"


@dataclass(frozen=True)
class InForce:
    """A charge on a day, in words, and where each part of it comes from."""

    charge: ChargeTerms
    price: str
    quantity: str
    cadence: str
    narrowed: str
    sources: tuple[Source, ...]


@dataclass(frozen=True)
class OnDay:
    """What a subscription binds on a day; `problem` says why that cannot be told."""

    charges: list[InForce]
    removed: list[tuple[str, Source]]
    spend: list[tuple[str, str, date, date | None, Source | None]]
    changes: list[date]
    version: str = ""
    problem: str = ""


def rows_of(subscription: Subscription, now: datetime) -> list[Row]:
    """Every term that was ever agreed on the subscription, the current ones with their days; constant queries."""
    terms = (
        SubscriptionTerm.objects.filter(subscription=subscription)
        .select_related("code", "meter", "recorded_by", "superseded_by", "replaces", "charge__meter")
        .prefetch_related("charge__prices").order_by("start", "pk")
    )  # fmt: skip
    units = _units(subscription)
    return [_row(term, subscription, units, now) for term in terms]


def _units(subscription: Subscription) -> dict[int, str]:
    """What each charge code counts, in the singular; of several versions, the latest says it."""
    versions = subscription.intervals.filter(superseded_at=None).values("version")
    charges = queries.charges_with_prices().filter(version__in=versions).order_by("version__number")
    return {each.code_id: each.meter.unit if each.meter else each.unit or "unit" for each in charges}


def _row(term: SubscriptionTerm, subscription: Subscription, units: dict[int, str], now: datetime) -> Row:
    zone, charge = subscription.contract.timezone, term.charge
    meter = term.meter or (charge.meter if charge else None)
    unit = meter.unit if meter else (charge and charge.unit) or units.get(term.code_id or 0) or "unit"
    price = parse_price(charge.prices.all()[0].price) if charge else None
    try:
        value = read_value(term.kind, term.value)
        words = term_in_words(
            value, currency=subscription.contract.currency, unit=unit, meter=str(term.meter or ""), added=price
        )
    except PriceError as error:
        words = str(error)
    about = charge.name if charge else str(term.code) if term.code else _about_all(term)
    start, end = local_date(term.start, zone), local_date(term.end, zone) if term.end else None
    return Row(term, about, words, start, end, term.start <= now and (term.end is None or now < term.end))


def _about_all(term: SubscriptionTerm) -> str:
    return str(term.value.get("name") or "spending") if "amount" in term.value else "all charges"


def on_day(subscription: Subscription, day: date) -> OnDay:
    """What holds at the start of a day in the contract's zone; constant queries."""
    contract = subscription.contract
    instant = local_midnight(day, contract.timezone)
    rows = [row for row in queries.intervals_of([contract.pk])[contract.pk] if row.subscription_id == subscription.pk]
    rows.sort(key=lambda each: each.start)
    versions = queries.versions_of({row.version_id for row in rows})
    own = queries.own_terms([contract.pk])
    try:
        bound = [queries.bound_by(row, versions, contract.currency) for row in rows]
        terms = [queries.term_of(row, contract.currency) for row in own.of(subscription.pk)]
        rates = own.rates(contract, bound, terms)
        resolved = resolve(bound, terms, rates)
    except TermsError as error:
        return OnDay([], [], [], [], problem=str(error))
    zone = contract.timezone
    return OnDay(
        charges=_charges(bound, terms, rates, instant, contract.cadence),
        removed=_removed(bound, terms, instant),
        spend=[
            (each.name, spend_in_words(each, contract.currency), local_date(each.period.start, zone),
             local_date(each.period.end, zone) if each.period.end else None, each.source)
            for each in resolved.spend if each.period.contains(instant)
        ],
        changes=[local_date(each.period.start, zone) for each in resolved.intervals],
        version=next((str(versions[row.version_id]) for row in rows if _holds(row, instant)), ""),
    )  # fmt: skip


def _charges(
    bound: Sequence[Interval], terms: Sequence[Term], rates: Rates, instant: datetime, cadence: str
) -> list[InForce]:
    """The charges at an instant; taken from that instant itself, so that sources are those of the day."""
    found = []
    of_charges = [term for term in terms if not isinstance(term.value, Spend)]
    for interval in bound:
        if interval.period.contains(instant):
            for charge in charges_at(interval, of_charges, instant, rates):
                found.append(InForce(
                    charge, price_in_words(charge.price, charge.unit), _quantity(interval, charge),
                    cadence_in_words(charge.cadence or cadence),
                    filters_in_words(charge.narrowed_by) if charge.narrowed_by else "", charge.sources,
                ))  # fmt: skip
    return found


def _quantity(interval: Interval, charge: ChargeTerms) -> str:
    """How many are billed; usage is metered, and a flat fee has no number of times."""
    if charge.meter_id is not None:
        return "metered"
    if isinstance(charge.price.model, Flat):
        return NONE
    return quantity_text(interval.quantity if charge.quantity is None else charge.quantity)


def cadence_in_words(cadence: str) -> str:
    """“monthly”, “every 3 months”: an ISO 8601 cadence as people say it."""
    every = Cadence.parse(cadence)
    if every.unit == "date":
        return "on listed dates"
    if every.count > 1:
        return f"every {every.count} {every.unit}s"
    return {"day": "daily", "week": "weekly", "month": "monthly", "year": "yearly"}[every.unit]


def _removed(bound: Sequence[Interval], terms: Sequence[Term], instant: datetime) -> list[tuple[str, Source]]:
    """Charges of the plan that do not hold then, and by which term."""
    return [
        (charge.name, term.source)
        for interval in bound if interval.period.contains(instant)
        for charge in interval.charges
        for term in terms
        if isinstance(term.value, RemoveCharge) and term.code_id == charge.code_id and term.period.contains(instant)
    ]  # fmt: skip


def _holds(row: SubscriptionInterval, instant: datetime) -> bool:
    return row.start <= instant and (row.end is None or instant < row.end)
