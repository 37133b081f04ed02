"""Prices in words, as RevOps and customers say them: no JSON on a page that people read. Pure: no Django."""

from fractions import Fraction

from billing.pricing.prices import Discount, Flat, Graduated, Model, Package, PerUnit, Price, Tier, Volume
from billing.pricing.words import Words


def price_in_words(price: Price, unit_name: str = "unit") -> str:
    """One sentence: “Graduated: to 5,000,000 tokens at USD 0.000003 each, beyond at USD 0.0000025 each”.

    `unit_name` is the meter's unit in the singular; for a recurring fee it is whatever is multiplied (a seat).
    """
    words = Words(price.currency, unit_name, price.unit.divide_by)
    text = _model(price.model, words)
    if price.free_quantity:
        text += f"; the first {words.units(Fraction(price.free_quantity))} free"
    text += "".join(f"; {_discount(discount, words)}" for discount in price.discounts)
    if price.unit.round != "none":
        text += f"; parts of a unit rounded {price.unit.round.replace('_', ' ')}"
    return text


def _model(model: Model, words: Words) -> str:
    each = _each(words)
    if isinstance(model, Flat):
        return f"{words.money(model.amount)} a period"
    if isinstance(model, PerUnit):
        return f"{words.money(model.unit_amount)} {each}"
    if isinstance(model, Package):
        part = "a part counts whole" if model.round == "up" else "only whole ones count"
        return f"{words.money(model.amount)} per package of {words.units(Fraction(model.package_size))}, {part}"
    name = "Graduated" if isinstance(model, Graduated) else "Volume, all at the price of the tier reached"
    return f"{name}: {', '.join(_tiers(model, words))}"


def _each(words: Words) -> str:
    """What an amount is paid for: “per token”, “per 1,000,000 tokens”."""
    if words.divide_by == 1:
        return f"per {words.unit_name}"
    return f"per {words.metered(Fraction(words.divide_by))}"


def _tiers(model: Graduated | Volume, words: Words) -> list[str]:
    bounds = [
        f"to {words.units(Fraction(tier.up_to))}" if tier.up_to is not None else "beyond" if number else "any quantity"
        for number, tier in enumerate(model.tiers)
    ]
    return [f"{bound} {_tier(tier, words)}" for bound, tier in zip(bounds, model.tiers, strict=True)]


def _tier(tier: Tier, words: Words) -> str:
    parts = []
    if tier.unit_amount is not None:
        unit = (
            f"per {words.units(Fraction(tier.package_size))}, begun ones whole" if tier.package_size else _each(words)
        )
        parts.append(f"at {words.money(tier.unit_amount)} {unit}")
    if tier.flat_amount is not None:
        parts.append(f"{words.money(tier.flat_amount)} flat")
    return " plus ".join(parts) or "free"


def _discount(discount: Discount, words: Words) -> str:
    if discount.percentage is not None:
        return f"less {discount.percentage.normalize():f} %"
    return f"less {words.money(discount.amount)}" if discount.amount is not None else ""
