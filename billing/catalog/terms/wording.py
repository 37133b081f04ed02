"""Customers' own terms in words, as RevOps says them: no JSON on a page that people read. Pure: no Django."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

from billing.catalog.terms.kinds import (
    AddCharge,
    Allowance,
    ChangeTiers,
    FreeUsage,
    Maximum,
    Minimum,
    MoveMeter,
    Multiply,
    Narrow,
    Reduce,
    RemoveCharge,
    ReplacePrice,
    SetQuantity,
    Spend,
    TermValue,
    TierChange,
)
from billing.catalog.terms.values import SpendTerms
from billing.catalog.wording import price_in_words
from billing.metering.exact_json import loads
from billing.money import plain
from billing.pricing import Price
from billing.pricing.words import Words, number, plural


def term_in_words(
    value: TermValue, *, currency: str, unit: str = "unit", meter: str = "", added: Price | None = None
) -> str:
    """What a term says, e.g. “less 10 %” or “the first 5,000 tokens free, besides what is free already”.

    `unit` is what the charge counts, in the singular; `meter` names the one that counts instead; `added` is the price
    of an added charge.
    """
    words = Words(currency, unit)
    match value:
        case ReplacePrice(price):
            return price_in_words(price, unit)
        case AddCharge():
            return price_in_words(added, unit) if added else ""
        case ChangeTiers(tiers):
            return "; ".join(_tier(tier, words) for tier in tiers)
        case MoveMeter():
            return f"counted by {meter}"
        case Narrow(filters):
            return f"only where {filters_in_words(filters)}"
        case RemoveCharge():
            return "not charged"
        case Spend():
            return spend_words(value, words)
    return _figure(value, words)


def _figure(value: TermValue, words: Words) -> str:
    """The terms that are one figure."""
    match value:
        case Multiply(factor):
            return f"all amounts × {plain(factor)}"
        case Allowance(quantity, mode):
            ending = " in all" if mode == "replace" else ", besides what is free already"
            return f"the first {words.units(Fraction(quantity))} of a period free{ending}"
        case FreeUsage(quantity):
            return f"{words.units(Fraction(quantity))} of a period free, besides what is free already"
        case Reduce(discount) if discount.percentage is not None:
            return f"less {plain(discount.percentage)} %"
        case Reduce(discount):
            return f"less {words.money(discount.amount or Decimal(0))} a period"
        case Minimum(amount):
            return f"at least {words.money(amount)} a period"
        case Maximum(amount):
            return f"at most {words.money(amount)} a period"
        case SetQuantity(quantity):
            return f"{number(Fraction(quantity))} {plural(words.unit_name, Fraction(quantity))}"
    raise AssertionError(value)  # every kind has its words above


def spend_in_words(spend: SpendTerms, currency: str) -> str:
    """“at least USD 5,000.00 a period, counting platform and tokens”."""
    words = Words(currency, "unit")
    return spend_words(spend, words)


def spend_words(spend: Spend | SpendTerms, words: Words) -> str:
    """“at least USD 5,000.00 a period, counting tokens”: an agreement on spending, whoever it is with."""
    how = {"minimum": "at least", "maximum": "at most", "commitment": "committed to"}[spend.kind]
    when = "a period" if spend.per == "cycle" else "over the whole time"
    codes, factor = spend.codes, spend.overage_factor
    counted = f", counting {' and '.join(codes)}" if codes else ""
    beyond = "" if factor == 1 else f"; what goes beyond is charged × {plain(factor)}"
    if spend.overage_prices:
        anew = "; ".join(f"{code} {price_in_words(price, 'unit')}" for code, price in spend.overage_prices)
        beyond = f"; what goes beyond costs anew: {anew}"
    return f"{how} {words.money(spend.amount)} {when}{counted}{beyond}"


def _tier(tier: TierChange, words: Words) -> str:
    bound = "the open tier" if tier.up_to is None else f"the tier to {words.units(Fraction(tier.up_to))}"
    parts = []
    if tier.unit_amount is not None:
        parts.append(f"at {words.money(tier.unit_amount)} per {words.unit_name}")
    if tier.flat_amount is not None:
        parts.append(f"{words.money(tier.flat_amount)} flat")
    return f"{bound} {' plus '.join(parts)}"


def filters_in_words(filters: str) -> str:
    """“region is eu or us and tier is not free”: filters as canonical JSON, in words."""
    found: dict[str, Any] = loads(filters)
    return " and ".join(f"{name} {_condition(wanted)}" for name, wanted in found.items())


_OPERATORS = {"gt": "above", "gte": "at least", "lt": "below", "lte": "at most"}


def _condition(wanted: Any) -> str:
    if not isinstance(wanted, dict):
        return f"is {_options(wanted)}"
    parts = []
    for key, value in wanted.items():
        if key == "not":
            parts.append(f"is not {_options(value)}")
        elif key == "exists":
            parts.append("is there" if value else "is missing")
        else:
            parts.append(f"is {_OPERATORS[key]} {value}")
    return " and ".join(parts)


def _options(wanted: Any) -> str:
    options = wanted if isinstance(wanted, list) else [wanted]
    return " or ".join(str(option).lower() if isinstance(option, bool) else str(option) for option in options)
