"""From a Price to the JSON that `parse_price` reads back as the same price: canonical, defaults left out."""

from dataclasses import fields
from decimal import Decimal
from typing import Any, Final

from billing.money import plain
from billing.pricing.prices import Flat, Graduated, Model, Package, PerUnit, Price, Tier, Unit, Volume

MODEL_NAMES: Final[dict[type[Model], str]] = {
    Flat: "flat",
    PerUnit: "per_unit",
    Graduated: "graduated",
    Volume: "volume",
    Package: "package",
}


def price_to_json(price: Price) -> dict[str, Any]:
    """The price as JSON with decimal strings; equal prices give equal JSON."""
    result: dict[str, Any] = {"model": MODEL_NAMES[type(price.model)], "currency": price.currency}
    result |= _model(price.model)
    if price.unit != Unit():
        result["unit"] = {"divide_by": plain(price.unit.divide_by), "round": price.unit.round}
    if price.free_quantity:
        result["free_quantity"] = plain(price.free_quantity)
    if price.discounts:
        result["discounts"] = [_given(discount) for discount in price.discounts]
    return result


def _model(model: Model) -> dict[str, Any]:
    if isinstance(model, Graduated | Volume):
        tiers = {"tiers": [_tier(tier) for tier in model.tiers]}
        return tiers if model.flat_at_zero else tiers | {"flat_at_zero": False}
    result = _given(model)
    if isinstance(model, Package):
        return result if model.round == "up" else result | {"round": model.round}
    return result


def _tier(tier: Tier) -> dict[str, Any]:
    return {"up_to": None} | _given(tier)


def _given(item: Any) -> dict[str, Any]:
    """The decimals of a dataclass that have a value."""
    values = {field.name: getattr(item, field.name) for field in fields(item)}
    return {name: plain(value) for name, value in values.items() if isinstance(value, Decimal)}
