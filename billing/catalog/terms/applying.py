"""One term on one charge: each kind's change, and the order in which kinds apply. Pure: no Django, no clock."""

from dataclasses import fields, is_dataclass, replace
from decimal import Decimal
from typing import Any, Final

from billing.catalog.terms.errors import TermsError
from billing.catalog.terms.kinds import (
    Allowance,
    ChangeTiers,
    FreeUsage,
    Maximum,
    Minimum,
    MoveMeter,
    Multiply,
    Narrow,
    Reduce,
    ReplacePrice,
    SetQuantity,
    TermValue,
)
from billing.catalog.terms.values import ChargeTerms
from billing.money import EXACT, plain
from billing.pricing import Price
from billing.pricing.prices import Stairstep, Tier

KINDS: Final[tuple[type, ...]] = (
    ReplacePrice, ChangeTiers, Multiply, MoveMeter, Narrow, Allowance, FreeUsage, Reduce, Minimum, Maximum, SetQuantity,
)  # fmt: skip
ORDER: Final = {kind: place for place, kind in enumerate(KINDS)}
"""Where each kind stands when several concern a charge."""

SCALED: Final = (
    "amount", "unit_amount", "flat_amount", "rate", "fixed_amount", "minimum_per_event", "maximum_per_event",
    "multiplier",
)  # fmt: skip
"""What a factor multiplies, wherever it stands in a model."""


def apply(charge: ChargeTerms, value: TermValue, other: ChargeTerms | None = None) -> ChargeTerms:
    """The charge under one term; `other` tells of the meter that it moves to. TermsError where it does not fit."""
    match value:
        case MoveMeter():
            assert other is not None  # the term names a meter (constraint term_meter)
            return replace(charge, meter_id=other.meter_id, unit=other.unit, additive=other.additive)
        case Narrow(filters):
            return replace(charge, narrowed_by=filters)
        case SetQuantity(quantity):
            return replace(charge, quantity=quantity)
    return replace(charge, price=_priced(charge, value))


def _priced(charge: ChargeTerms, value: TermValue) -> Price:
    """The charge's price under a term that concerns it."""
    price = charge.price
    match value:
        case ReplacePrice(other):
            return other
        case ChangeTiers():
            return _tiers(charge, value)
        case Multiply(factor):
            return replace(price, model=_scaled(price.model, factor))
        case Allowance(quantity, "replace"):
            return replace(price, free_quantity=quantity)
        case Allowance(quantity) | FreeUsage(quantity):
            return replace(price, free_quantity=EXACT.add(price.free_quantity, quantity))
        case Reduce(discount):
            return replace(price, discounts=(*price.discounts, discount))
        case Minimum(amount):
            return _bounded(charge, replace(price, minimum_amount=amount))
        case Maximum(amount):
            return _bounded(charge, replace(price, maximum_amount=amount))
    return price


def _bounded(charge: ChargeTerms, price: Price) -> Price:
    least, most = price.minimum_amount, price.maximum_amount
    if least is not None and most is not None and least > most:
        raise TermsError(
            f"“{charge.name}” would have a minimum of {plain(least)} above its maximum of {plain(most)}: change one."
        )
    return price


def _tiers(charge: ChargeTerms, value: ChangeTiers) -> Price:
    """The price with other amounts in the tiers that the term names by their bound."""
    model: Any = charge.price.model
    tiers: tuple[Tier, ...] | None = getattr(model, "tiers", None)
    if tiers is None:
        raise TermsError(f"The price of “{charge.name}” has no tiers: replace the price instead.")
    changed = {change.up_to: change for change in value.tiers}
    missing = changed.keys() - {tier.up_to for tier in tiers}
    if missing:
        bounds = ", ".join("the open one" if tier.up_to is None else plain(tier.up_to) for tier in tiers)
        named = min("the open one" if bound is None else plain(bound) for bound in missing)
        raise TermsError(f"The price of “{charge.name}” has no tier up to {named}; its tiers end at {bounds}.")
    fresh = []
    for tier in tiers:
        change = changed.get(tier.up_to)
        given = {} if change is None else {
            key: getattr(change, key) for key in ("unit_amount", "flat_amount") if getattr(change, key) is not None
        }  # fmt: skip
        known = ("flat_amount",) if isinstance(model, Stairstep) else tuple(each.name for each in fields(tier))
        unknown = [key for key in given if key not in known]
        if unknown:
            raise TermsError(f"A tier of “{charge.name}” has no {unknown[0]}: replace the price instead.")
        fresh.append(replace(tier, **given))
    return replace(charge.price, model=replace(model, tiers=tuple(fresh)))


def _scaled(item: Any, factor: Decimal) -> Any:
    """A model, or a part of one, with every amount times the factor."""
    if isinstance(item, tuple):
        return tuple(_scaled(each, factor) for each in item)
    if isinstance(item, Price):  # of a cell: its discounts, minimum and maximum stay too
        return replace(item, model=_scaled(item.model, factor))
    if not is_dataclass(item) or isinstance(item, type):
        return item
    changed = {}
    for each in fields(item):
        value = getattr(item, each.name)
        if isinstance(value, Decimal):
            changed[each.name] = _times(value, factor) if each.name in SCALED else value
        else:
            changed[each.name] = _scaled(value, factor)
    return replace(item, **changed)


def _times(amount: Decimal, factor: Decimal) -> Decimal:
    """Exactly, and as the same number is always written, so that equal prices are equal."""
    return Decimal(plain(EXACT.multiply(amount, factor)))
