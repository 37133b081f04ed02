"""Prices in words, as RevOps and customers say them: no JSON on a page that people read. Pure: no Django."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Final

from billing.money import plain
from billing.pricing.prices import (
    Discount,
    Dynamic,
    Flat,
    Graduated,
    GraduatedPercentage,
    Matrix,
    Model,
    Package,
    Percentage,
    PerUnit,
    Price,
    RateTier,
    Stairstep,
    Tier,
    Volume,
    VolumePercentage,
)
from billing.pricing.words import Words, number

CELLS_TOLD: Final = 4
"""How many cells of a matrix are told one by one."""


def words_of(price: Price, unit_name: str) -> Words:
    """How the amounts of a price are said: in its currency, or in its custom unit."""
    return Words(price.currency, unit_name, price.unit.divide_by, price.custom_unit)


def price_in_words(price: Price, unit_name: str = "unit") -> str:
    """One sentence: “Graduated: to 5,000,000 tokens at USD 0.000003 each, beyond at USD 0.0000025 each”.

    `unit_name` is the meter's unit in the singular; for a recurring fee it is whatever is multiplied (a seat).
    """
    words = words_of(price, unit_name)
    text = _model(price.model, words) + _around(price, words)
    if price.unit.round != "none":
        text += f"; parts of a unit rounded {price.unit.round.replace('_', ' ')}"
    if unit := price.custom_unit:
        worth = "their dated worth" if unit.rate is None else f"{Words(price.currency, '').money(unit.rate)} each"
        text += f"; {unit.code} are billed at {worth}"
    return text


def _around(price: Price, words: Words) -> str:
    """What is free, taken off, and at least or at most to be paid."""
    text = f"; the first {words.units(Fraction(price.free_quantity))} free" if price.free_quantity else ""
    text += "".join(f"; {_discount(discount, words)}" for discount in price.discounts)
    if price.minimum_amount is not None:
        text += f"; at least {words.money(price.minimum_amount)}"
    if price.maximum_amount is not None:
        text += f"; at most {words.money(price.maximum_amount)}"
    return text


def _model(model: Model, words: Words) -> str:
    match model:
        case Flat(amount):
            return f"{words.money(amount)} a period"
        case PerUnit(amount):
            return f"{words.money(amount)} {_each(words)}"
        case Package(size, amount, rounding):
            part = "a part counts whole" if rounding == "up" else "only whole ones count"
            return f"{words.money(amount)} per package of {words.units(Fraction(size))}, {part}"
        case Percentage():
            return _percentage(model, words)
        case Dynamic(multiplier):
            return "The price that each event carries" + ("" if multiplier == 1 else f", times {plain(multiplier)}")
        case Matrix():
            return _matrix(model, words)
    return f"{_TIERED[type(model)]}: {', '.join(_tiers(model.tiers, words))}"


_TIERED: Final = {
    Graduated: "Graduated",
    Volume: "Volume, all at the price of the tier reached",
    Stairstep: "One amount by size",
    GraduatedPercentage: "Graduated share of the value",
    VolumePercentage: "Share of the whole value, at the rate of the tier reached",
}


def _each(words: Words) -> str:
    """What an amount is paid for: “per token”, “per 1,000,000 tokens”."""
    if words.divide_by == 1:
        return f"per {words.unit_name}"
    return f"per {words.metered(Fraction(words.divide_by))}"


def _tiers(tiers: Sequence[Tier | RateTier], words: Words) -> list[str]:
    bounds = [
        f"to {words.units(Fraction(tier.up_to))}" if tier.up_to is not None else "beyond" if place else "any quantity"
        for place, tier in enumerate(tiers)
    ]
    return [f"{bound} {_tier(tier, words)}" for bound, tier in zip(bounds, tiers, strict=True)]


def _tier(tier: Tier | RateTier, words: Words) -> str:
    parts = []
    if isinstance(tier, RateTier):
        parts.append(f"at {plain(tier.rate)} %")
    elif tier.unit_amount is not None:
        unit = (
            f"per {words.units(Fraction(tier.package_size))}, begun ones whole" if tier.package_size else _each(words)
        )
        parts.append(f"at {words.money(tier.unit_amount)} {unit}")
    if tier.flat_amount is not None:
        parts.append(f"{words.money(tier.flat_amount)} flat")
    return " plus ".join(parts) or "free"


def _percentage(model: Percentage, words: Words) -> str:
    """“2.9 % of the value of each event plus USD 0.30, the first 100 events free”."""
    said: list[tuple[Decimal | int | None, Callable[[Decimal], str]]] = [
        (model.fixed_amount, lambda amount: f" plus {words.money(amount)}"),
        (model.minimum_per_event, lambda amount: f", at least {words.money(amount)} each"),
        (model.maximum_per_event, lambda amount: f", at most {words.money(amount)} each"),
        (model.free_events, lambda count: f", the first {number(Fraction(count))} events free"),
        (model.free_amount, lambda value: f", the first {number(Fraction(value))} of value free"),
    ]
    text = f"{plain(model.rate)} % of the value" + (" of each event" if model.per_event else "")
    return text + "".join(say(Decimal(value)) for value, say in said if value is not None)


def _matrix(model: Matrix, words: Words) -> str:
    """“By model: large USD 2.50 per 1,000,000 tokens, small …; all others …”."""
    told = []
    for cell in model.cells[:CELLS_TOLD]:
        values = " and ".join(value or "none" for value in cell.when)
        told.append(f"{values} {_inner(cell.price, words)}")
    rest = len(model.cells) - len(told)
    text = f"By {' and '.join(model.dimensions)}: {', '.join(told) or 'no cells'}"
    text += f" and {rest:,} more" if rest else ""
    return text + (f"; all others {_inner(model.default, words)}" if model.default else "; others have no price")


def _inner(price: Price, words: Words) -> str:
    """The price of a cell, in the words of its matrix: units that both convert are converted twice."""
    inner = words if price.unit.divide_by == 1 else _by(words, price.unit.divide_by)
    text = _model(price.model, inner) + _around(price, inner)
    return text[0].lower() + text[1:] if text.startswith(("Graduated", "Volume", "One", "Share", "The")) else text


def _by(words: Words, divide_by: Decimal) -> Words:
    return replace(words, divide_by=words.divide_by * divide_by)


def _discount(discount: Discount, words: Words) -> str:
    if discount.percentage is not None:
        return f"less {plain(discount.percentage)} %"
    return f"less {words.money(discount.amount)}" if discount.amount is not None else ""
