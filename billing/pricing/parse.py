"""From JSON to a Price, strictly: what is accepted can be rated, and means what it says (R3; docs/formats.md)."""

import re
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final, TypeVar, cast, get_args

from billing.money import plain
from billing.pricing.errors import PriceError
from billing.pricing.fields import Fields
from billing.pricing.prices import (
    Cell,
    CustomUnit,
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
    Rounding,
    Stairstep,
    Tier,
    Unit,
    Volume,
    VolumePercentage,
)
from customers.currencies import UnknownCurrency, minor_places

MAX_DIMENSIONS: Final = 3
MAX_PLACES: Final = 12
_COMMON: Final = (
    "model", "currency", "unit", "free_quantity", "discounts", "minimum_amount", "maximum_amount", "custom_unit",
)  # fmt: skip
T = TypeVar("T", Tier, RateTier)
_UNIT_CODE: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


def parse_price(obj: object, path: str = "price") -> Price:
    """Read a price from parsed JSON; PriceError with the path, below `path`, to the first thing that is wrong."""
    fields = Fields(obj, path)
    name = fields.required("model")
    if not isinstance(name, str) or name not in _READERS:
        raise PriceError("unknown_model", f"{name!r} is no price model; use {_names()}.", fields.at("model"))
    keys, read = _READERS[name]
    fields.only((*_COMMON, *keys), f"a {name} price")
    price = Price(
        model=read(fields),
        currency=_currency(fields),
        unit=_unit(Fields(fields.obj["unit"], fields.at("unit"))) if "unit" in fields else Unit(),
        free_quantity=fields.number("free_quantity", minimum=0) if "free_quantity" in fields else Decimal(0),
        discounts=tuple(map(_discount, fields.objects("discounts"))) if "discounts" in fields else (),
        minimum_amount=_bound(fields, "minimum_amount"),
        maximum_amount=_bound(fields, "maximum_amount"),
        custom_unit=_custom_unit(fields) if "custom_unit" in fields else None,
    )
    _in_order(fields, price.minimum_amount, price.maximum_amount, "maximum_amount")
    return price


def _names() -> str:
    return ", ".join(_READERS)


def _currency(fields: Fields) -> str:
    code = fields.obj.get("currency", "USD")
    try:
        minor_places(code)
    except UnknownCurrency as error:
        raise PriceError("unknown_currency", str(error), fields.at("currency")) from None
    return str(code)


def _unit(fields: Fields) -> Unit:
    fields.only(("divide_by", "round"), "a unit")
    rounding = cast(Rounding, fields.choice("round", get_args(Rounding), "none"))
    return Unit(fields.size("divide_by") if "divide_by" in fields else Decimal(1), rounding)


def _custom_unit(fields: Fields) -> CustomUnit:
    own = Fields(fields.obj["custom_unit"], fields.at("custom_unit"))
    own.only(("code", "places", "rate"), "a custom unit")
    code = own.required("code")
    if not isinstance(code, str) or not _UNIT_CODE.fullmatch(code):
        message = f'{code!r} is no code of a unit; write small letters, digits and hyphens, such as "credits".'
        raise PriceError("invalid_choice", message, own.at("code"))
    places = own.whole("places", minimum=0, maximum=MAX_PLACES) if "places" in own else 0
    return CustomUnit(code, places, own.size("rate") if "rate" in own else None)


def _discount(fields: Fields) -> Discount:
    fields.only(("percentage", "amount"), "a discount")
    if ("percentage" in fields) == ("amount" in fields):
        raise PriceError("incomplete", "A discount has either a percentage or an amount; write one.", fields.path)
    if "percentage" in fields:
        return Discount(percentage=fields.number("percentage", minimum=0, maximum=100))
    return Discount(amount=fields.number("amount", minimum=0))


def _bound(fields: Fields, key: str) -> Decimal | None:
    """An amount of 0 or more that may be left out, or null."""
    return fields.number(key, minimum=0) if fields.obj.get(key) is not None else None


def _in_order(fields: Fields, minimum: Decimal | None, maximum: Decimal | None, key: str) -> None:
    if minimum is not None and maximum is not None and maximum < minimum:
        message = f"The maximum {plain(maximum)} is below the minimum {plain(minimum)}; let it be that or more."
        raise PriceError("out_of_range", message, fields.at(key))


def _flat(fields: Fields) -> Model:
    return Flat(fields.number("amount"))


def _per_unit(fields: Fields) -> Model:
    return PerUnit(fields.number("unit_amount"))


def _graduated(fields: Fields) -> Model:
    return Graduated(_tiers(fields), fields.flag("flat_at_zero", True))


def _volume(fields: Fields) -> Model:
    return Volume(_tiers(fields), fields.flag("flat_at_zero", True))


def _package(fields: Fields) -> Model:
    rounding: Any = fields.choice("round", ("up", "down"), "up")
    return Package(fields.size("package_size"), fields.number("amount"), rounding)


def _stairstep(fields: Fields) -> Model:
    def read(row: Fields) -> Tier:
        row.only(("up_to", "flat_amount"), "a stairstep tier")
        return Tier(_up_to(row), flat_amount=row.number("flat_amount"))

    return Stairstep(_in_tiers(fields, read, '{"up_to": null, "flat_amount": "10"}'))


def _percentage(fields: Fields) -> Model:
    percentage = Percentage(
        rate=_rate(fields),
        fixed_amount=_bound(fields, "fixed_amount"),
        free_events=fields.whole("free_events", minimum=0) if fields.obj.get("free_events") is not None else None,
        free_amount=_bound(fields, "free_amount"),
        minimum_per_event=_bound(fields, "minimum_per_event"),
        maximum_per_event=_bound(fields, "maximum_per_event"),
    )
    _in_order(fields, percentage.minimum_per_event, percentage.maximum_per_event, "maximum_per_event")
    return percentage


def _rate_tiers(fields: Fields) -> tuple[RateTier, ...]:
    def read(row: Fields) -> RateTier:
        row.only(("up_to", "rate", "flat_amount"), "a tier of rates")
        return RateTier(_up_to(row), _rate(row), row.number("flat_amount") if "flat_amount" in row else None)

    return _in_tiers(fields, read, '{"up_to": null, "rate": "2.9"}')


def _rate(fields: Fields) -> Decimal:
    """A rate in percent; negative rates would pay customers for what they use."""
    return fields.number("rate", minimum=0)


def _graduated_percentage(fields: Fields) -> Model:
    return GraduatedPercentage(_rate_tiers(fields))


def _volume_percentage(fields: Fields) -> Model:
    return VolumePercentage(_rate_tiers(fields))


def _dynamic(fields: Fields) -> Model:
    return Dynamic(fields.number("multiplier", minimum=0) if "multiplier" in fields else Decimal(1))


def _tiers(fields: Fields) -> tuple[Tier, ...]:
    return _in_tiers(fields, _tier, '{"up_to": null}')


def _tier(fields: Fields) -> Tier:
    fields.only(("up_to", "unit_amount", "flat_amount", "package_size"), "a tier")
    if "package_size" in fields and "unit_amount" not in fields:
        message = "A tier sold in packages needs the amount of one; add unit_amount."
        raise PriceError("incomplete", message, fields.at("package_size"))
    return Tier(
        up_to=_up_to(fields),
        unit_amount=fields.number("unit_amount") if "unit_amount" in fields else None,
        flat_amount=fields.number("flat_amount") if "flat_amount" in fields else None,
        package_size=fields.size("package_size") if "package_size" in fields else None,
    )


def _up_to(fields: Fields) -> Decimal | None:
    return None if fields.required("up_to") is None else fields.number("up_to")


def _in_tiers(fields: Fields, read: Callable[[Fields], T], example: str) -> tuple[T, ...]:
    """Tiers whose bounds rise and whose last is open, so that each quantity lies in exactly one."""
    rows = fields.objects("tiers")
    if not rows:
        raise PriceError("incomplete", f"A price in tiers has at least one: {example}.", fields.at("tiers"))
    tiers = tuple(map(read, rows))
    bound = Decimal(0)
    for row, tier in zip(rows[:-1], tiers[:-1], strict=True):
        if tier.up_to is None:
            message = "Only the last tier is open; write the bound of this one, or make it the last."
            raise PriceError("tier_order", message, row.at("up_to"))
        if tier.up_to <= bound:
            message = f"A tier ends above {bound:f}, where it begins; sort the tiers and give each its own bound."
            raise PriceError("tier_order", message, row.at("up_to"))
        bound = tier.up_to
    if tiers[-1].up_to is not None:
        message = "The last tier must be open, so that no quantity is without a price; write null."
        raise PriceError("last_tier_not_open", message, rows[-1].at("up_to"))
    return tiers


def _matrix(fields: Fields) -> Model:
    dimensions = fields.words("dimensions")
    if not 1 <= len(dimensions) <= MAX_DIMENSIONS or len(set(dimensions)) < len(dimensions):
        message = f"A matrix has one to {MAX_DIMENSIONS} dimensions, each named once."
        raise PriceError("out_of_range", message, fields.at("dimensions"))
    currency = _currency(fields)
    cells: dict[tuple[str, ...], Cell] = {}
    for row in fields.objects("cells"):
        cell = _cell(row, dimensions, currency)
        if cell.when in cells:
            message = f"{', '.join(cell.when)} has a cell already; keep one of them."
            raise PriceError("duplicate_cell", message, row.at("when"))
        cells[cell.when] = cell
    default = fields.obj.get("default")
    found = None if default is None else _cell_price(default, fields.at("default"), currency)
    if not cells and found is None:
        raise PriceError("incomplete", "A matrix has at least one cell, or a default.", fields.at("cells"))
    return Matrix(dimensions, tuple(cells.values()), found)


def _cell(row: Fields, dimensions: tuple[str, ...], currency: str) -> Cell:
    row.only(("when", "price"), "a cell")
    when = Fields(row.required("when"), row.at("when"))
    for name in when.obj:
        if name not in dimensions:
            message = f"{name!r} is no dimension of this matrix; it has {', '.join(dimensions)}."
            raise PriceError("unknown_dimension", message, when.at(str(name)))
    values = tuple(when.required(name) for name in dimensions)
    for name, value in zip(dimensions, values, strict=True):
        if not isinstance(value, str):
            message = f"{value!r} is no text; write the value of {name!r} as a string."
            raise PriceError("invalid_choice", message, when.at(name))
    return Cell(values, _cell_price(row.required("price"), row.at("price"), currency))


def _cell_price(obj: object, path: str, currency: str) -> Price:
    """A price within a matrix: any model but a matrix, in the matrix's currency and unit."""
    fields = Fields(obj, path)
    if fields.obj.get("model") == "matrix":
        raise PriceError("unsupported", "A matrix holds no matrix; name up to three dimensions.", fields.at("model"))
    if "custom_unit" in fields:
        message = "The cells are in the unit of the whole price; write custom_unit there."
        raise PriceError("unsupported", message, fields.at("custom_unit"))
    if fields.obj.get("currency", currency) != currency:
        message = f"This cell is in {fields.obj['currency']}, the matrix in {currency}; make a price for each currency."
        raise PriceError("currency_mismatch", message, fields.at("currency"))
    return replace(parse_price(obj, path), currency=currency)


_READERS: Final[dict[str, tuple[tuple[str, ...], Callable[[Fields], Model]]]] = {
    "flat": (("amount",), _flat),
    "per_unit": (("unit_amount",), _per_unit),
    "graduated": (("tiers", "flat_at_zero"), _graduated),
    "volume": (("tiers", "flat_at_zero"), _volume),
    "package": (("package_size", "amount", "round"), _package),
    "stairstep": (("tiers",), _stairstep),
    "percentage": (
        ("rate", "fixed_amount", "free_events", "free_amount", "minimum_per_event", "maximum_per_event"),
        _percentage,
    ),
    "graduated_percentage": (("tiers",), _graduated_percentage),
    "volume_percentage": (("tiers",), _volume_percentage),
    "matrix": (("dimensions", "cells", "default"), _matrix),
    "dynamic": (("multiplier",), _dynamic),
}
