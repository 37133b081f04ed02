"""What is refused before a term is written, each with a sentence and the way out."""

from collections.abc import Collection, Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Q

from billing.catalog.models import Charge, Subscription
from billing.catalog.terms.errors import TermsError
from billing.catalog.terms.kinds import read_value
from billing.catalog.terms.models import SubscriptionTerm
from billing.catalog.terms.states import FOR_ALL, SPEND, TermKind
from billing.metering.models import Meter
from billing.periods import Period, local_date, local_midnight
from billing.pricing import Price, PriceError, parse_price, price_to_json
from billing.pricing.usages import needs
from customers.models import Contract

OF_USAGE = (TermKind.METER, TermKind.NARROWING)


def value_json(kind: str, value: Mapping[str, Any], currency: str, path: str) -> dict[str, Any]:
    """The value as it is kept; TermsError with the path to what is wrong."""
    try:
        read_value(kind, dict(value), path)
    except PriceError as error:
        raise TermsError(f"{error.path}: {error.message}") from error
    if kind == TermKind.PRICE:
        return {"price": price_json(value["price"], currency, f"{path}.price")}
    if value.get("overage_prices"):
        prices = {
            code: price_json(price, currency, f"{path}.overage_prices.{code}")
            for code, price in value["overage_prices"].items()
        }
        return dict(value) | {"overage_prices": prices}
    return dict(value)


def price_json(price: Mapping[str, Any], currency: str, path: str = "price") -> dict[str, Any]:
    """A canonical price in the contract's currency, which holds where the JSON names none."""
    try:
        found = parse_price({"currency": currency} | dict(price), path)
    except PriceError as error:
        raise TermsError(f"{error.path}: {error.message}") from error
    if found.currency != currency:
        raise TermsError(
            f"{path}.currency: The contract is billed in {currency}, and this price is in {found.currency}:"
            f" write it in {currency}."
        )
    return price_to_json(found)


def check_about(kind: str, code: str, value: Mapping[str, Any]) -> None:
    """Some kinds are about one charge, some about spending, and a percentage or a factor may be about all charges."""
    label = TermKind(kind).label
    if kind in SPEND and code:
        raise TermsError(f"“{label}” is about what the subscription spends: name charges in its value, not here.")
    if code or kind in SPEND:
        return
    if kind not in FOR_ALL:
        raise TermsError(f"“{label}” is about one charge: choose which.")
    if kind == TermKind.DISCOUNT and "percentage" not in value:
        raise TermsError("An amount or a quantity is taken off one charge: choose which. A percentage may go off all.")


def committed(contract: Contract, value: Mapping[str, Any], period: Period) -> Period:
    """The period; a commitment over its whole term ends with the contract where nothing else is said."""
    if value.get("per") != "term" or period.end is not None:
        return period
    if contract.end is None:
        raise TermsError("A commitment over its term needs an end, and the contract is open: say until when.")
    return Period(period.start, local_midnight(contract.end, contract.timezone))


def meter_for(kind: str, meter: Meter | None) -> Meter | None:
    """The meter that a move needs, a current version; no other kind has one."""
    if kind != TermKind.METER:
        if meter is not None:
            raise TermsError(f"“{TermKind(kind).label}” takes no meter: leave it empty.")
        return None
    if meter is None:
        raise TermsError("Choose the meter that counts instead.")
    if meter.superseded_at is not None:
        raise TermsError(f"{meter} was superseded by a newer version: choose that.")
    return meter


def check_charge(charge: Charge, price: Mapping[str, Any]) -> None:
    """An added charge is whole: a name, the fields of its kind, and a price that fits it."""
    try:
        charge.full_clean(exclude=["version", "subscription", "code"], validate_unique=False)
    except ValidationError as error:
        raise TermsError(" ".join(text for texts in error.message_dict.values() for text in texts)) from error
    if charge.meter and charge.meter.superseded_at is not None:
        raise TermsError(f"{charge.meter} was superseded by a newer version: choose that.")
    check_priced(charge, parse_price(price))


def check_priced(charge: Charge, price: Price, known: Collection[str] = ()) -> None:
    """A fee is priced by its quantity, usage by what its meter reports; `known` dimensions are right already."""
    if charge.meter is None and needs(price).kind != "quantity":
        raise TermsError(f"“{charge}” is a fee: price it flat or by its quantity, not by event or dimension.")
    reported = charge.meter.group_by if charge.meter else []
    unknown = next((name for name in _dimensions(price) if name not in reported and name not in known), None)
    if unknown:
        have = ", ".join(reported) or "nothing"
        raise TermsError(f"The meter of “{charge}” does not report by “{unknown}”; it reports by {have}.")


def _dimensions(price: Price) -> tuple[str, ...]:
    return needs(price).dimensions


def check_within(subscription: Subscription, row: SubscriptionTerm) -> None:
    """A term holds while the subscription does."""
    current = subscription.intervals.filter(superseded_at=None).order_by("start")
    bounds = list(current.values_list("start", "end"))
    zone = subscription.contract.timezone
    if not bounds:
        raise TermsError(f"{subscription} is not in force: subscribe it again first.")
    first, last = bounds[0][0], bounds[-1][1]
    too_late = last is not None and (row.start >= last or (row.end is not None and row.end > last))
    if row.start < first or too_late:
        until = f"to {local_date(last, zone)}" if last else "on"
        raise TermsError(f"{subscription} runs from {local_date(first, zone)} {until}: choose dates within it.")


def check_known(subscription: Subscription, row: SubscriptionTerm) -> None:
    """The charge is one that the subscription has at that time, and of a kind that the term can change."""
    wanted = {row.code.code} if row.code else {*row.value.get("charges", ()), *row.value.get("overage_prices", ())}
    if not wanted:
        return
    period = Period(row.start, row.end)
    known = {charge.code.code: charge for charge in charges_during(subscription, period)}
    missing = sorted(wanted - known.keys())
    if missing:
        have = ", ".join(sorted(known)) or "none"
        raise TermsError(f"{subscription} has no charge “{missing[0]}” at that time; it has {have}.")
    charge = known[min(wanted)]
    if row.kind == TermKind.PRICE:
        before = {name for each in charge.prices.all() for name in _dimensions(parse_price(each.price))}
        check_priced(charge, parse_price(row.value["price"]), before)
    is_usage = charge.kind == Charge.Kind.USAGE
    if row.kind in OF_USAGE and not is_usage:
        raise TermsError(f"“{charge}” is a fee and counts no usage: choose a usage charge.")
    if row.kind == TermKind.QUANTITY and is_usage:
        raise TermsError(f"“{charge}” is usage, which its meter counts: a quantity is for recurring fees.")


def charges_during(subscription: Subscription, period: Period) -> list[Charge]:
    """The charges of plan versions and of the customer's own that hold at some time of the period; three queries."""
    versions, own = (
        {id_ for id_, start, end in rows if period.intersect(Period(start, end))}
        for rows in (
            subscription.intervals.filter(superseded_at=None).values_list("version_id", "start", "end"),
            subscription.terms.filter(superseded_at=None, kind=TermKind.ADD).values_list("charge_id", "start", "end"),
        )
    )
    charges = Charge.objects.filter(Q(version_id__in=versions) | Q(pk__in=own))
    return list(charges.select_related("code", "meter").order_by("position", "pk"))
