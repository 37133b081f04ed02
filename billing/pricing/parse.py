"""From JSON to a Price, strictly: what is accepted can be rated, and means what it says (R3; docs/formats.md)."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final, cast, get_args

from billing.pricing.errors import PriceError
from billing.pricing.fields import Fields
from billing.pricing.prices import (
    Discount,
    Flat,
    Graduated,
    Model,
    Package,
    PerUnit,
    Price,
    Rounding,
    Tier,
    Unit,
    Volume,
)
from customers.currencies import UnknownCurrency, minor_places

_COMMON: Final = ("model", "currency", "unit", "free_quantity", "discounts")
_NOT_YET: Final = ("minimum_amount", "maximum_amount")
_MODELS_NOT_YET: Final = ("stairstep", "percentage", "graduated_percentage", "volume_percentage", "matrix", "dynamic")


def parse_price(obj: object, path: str = "price") -> Price:
    """Read a price from parsed JSON; PriceError with the path, below `path`, to the first thing that is wrong."""
    fields = Fields(obj, path)
    name = fields.required("model")
    if name in _MODELS_NOT_YET:
        raise PriceError("unsupported", f"The model {name!r} is not supported yet; use {_names()}.", fields.at("model"))
    if not isinstance(name, str) or name not in _READERS:
        raise PriceError("unknown_model", f"{name!r} is no price model; use {_names()}.", fields.at("model"))
    for key in _NOT_YET:
        if key in fields:
            raise PriceError("unsupported", f"{key!r} is not supported yet; leave it out.", fields.at(key))
    keys, read = _READERS[name]
    fields.only((*_COMMON, *keys), f"a {name} price")
    return Price(
        model=read(fields),
        currency=_currency(fields),
        unit=_unit(Fields(fields.obj["unit"], fields.at("unit"))) if "unit" in fields else Unit(),
        free_quantity=fields.number("free_quantity", minimum=0) if "free_quantity" in fields else Decimal(0),
        discounts=tuple(map(_discount, fields.objects("discounts"))) if "discounts" in fields else (),
    )


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


def _discount(fields: Fields) -> Discount:
    fields.only(("percentage", "amount"), "a discount")
    if ("percentage" in fields) == ("amount" in fields):
        raise PriceError("incomplete", "A discount has either a percentage or an amount; write one.", fields.path)
    if "percentage" in fields:
        return Discount(percentage=fields.number("percentage", minimum=0, maximum=100))
    return Discount(amount=fields.number("amount", minimum=0))


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


def _tiers(fields: Fields) -> tuple[Tier, ...]:
    """Tiers whose bounds rise and whose last is open, so that each quantity lies in exactly one."""
    rows = fields.objects("tiers")
    if not rows:
        raise PriceError("incomplete", 'A price in tiers has at least one: {"up_to": null}.', fields.at("tiers"))
    tiers = tuple(map(_tier, rows))
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


def _tier(fields: Fields) -> Tier:
    fields.only(("up_to", "unit_amount", "flat_amount", "package_size"), "a tier")
    if "package_size" in fields and "unit_amount" not in fields:
        message = "A tier sold in packages needs the amount of one; add unit_amount."
        raise PriceError("incomplete", message, fields.at("package_size"))
    return Tier(
        up_to=None if fields.required("up_to") is None else fields.number("up_to"),
        unit_amount=fields.number("unit_amount") if "unit_amount" in fields else None,
        flat_amount=fields.number("flat_amount") if "flat_amount" in fields else None,
        package_size=fields.size("package_size") if "package_size" in fields else None,
    )


_READERS: Final[dict[str, tuple[tuple[str, ...], Callable[[Fields], Model]]]] = {
    "flat": (("amount",), _flat),
    "per_unit": (("unit_amount",), _per_unit),
    "graduated": (("tiers", "flat_at_zero"), _graduated),
    "volume": (("tiers", "flat_at_zero"), _volume),
    "package": (("package_size", "amount", "round"), _package),
}
