"""From a Price to the JSON that `parse_price` reads back as the same price: canonical, defaults left out."""

from dataclasses import fields
from decimal import Decimal
from typing import Any, Final

from billing.money import plain
from billing.pricing.prices import (
    CustomUnit,
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
    Stairstep,
    Unit,
    Volume,
    VolumePercentage,
)

MODEL_NAMES: Final[dict[type[Model], str]] = {
    Flat: "flat",
    PerUnit: "per_unit",
    Graduated: "graduated",
    Volume: "volume",
    Package: "package",
    Stairstep: "stairstep",
    Percentage: "percentage",
    GraduatedPercentage: "graduated_percentage",
    VolumePercentage: "volume_percentage",
    Dynamic: "dynamic",
    Matrix: "matrix",
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
    for name in ("minimum_amount", "maximum_amount"):
        if (amount := getattr(price, name)) is not None:
            result[name] = plain(amount)
    if price.custom_unit:
        result["custom_unit"] = _custom_unit(price.custom_unit)
    return result


def _model(model: Model) -> dict[str, Any]:
    match model:
        case Graduated() | Volume():
            tiers = {"tiers": [_tier(tier) for tier in model.tiers]}
            return tiers if model.flat_at_zero else tiers | {"flat_at_zero": False}
        case Stairstep() | GraduatedPercentage() | VolumePercentage():
            return {"tiers": [_tier(tier) for tier in model.tiers]}
        case Package(round="down"):
            return _given(model) | {"round": "down"}
        case Matrix():
            return _matrix(model)
        case Dynamic():
            return {} if model.multiplier == 1 else _given(model)
    return _given(model)


def _matrix(model: Matrix) -> dict[str, Any]:
    return {
        "dimensions": list(model.dimensions),
        "cells": [
            {"when": dict(zip(model.dimensions, cell.when, strict=True)), "price": _cell_price(cell.price)}
            for cell in model.cells
        ],
        "default": None if model.default is None else _cell_price(model.default),
    }


def _cell_price(price: Price) -> dict[str, Any]:
    """A price in a matrix, whose currency is the matrix's."""
    return {key: value for key, value in price_to_json(price).items() if key != "currency"}


def _custom_unit(unit: CustomUnit) -> dict[str, Any]:
    result: dict[str, Any] = {"code": unit.code}
    if unit.places:
        result["places"] = unit.places
    return result if unit.rate is None else result | {"rate": plain(unit.rate)}


def _tier(tier: Any) -> dict[str, Any]:
    return {"up_to": None} | _given(tier)


def _given(item: Any) -> dict[str, Any]:
    """The numbers of a dataclass that have a value."""
    values = {field.name: getattr(item, field.name) for field in fields(item)}
    return {
        name: plain(value) if isinstance(value, Decimal) else value
        for name, value in values.items()
        if isinstance(value, Decimal | int)
    }
