"""The kinds of a customer's own terms: what each holds, read strictly from JSON (docs/terms.md).

Amounts are in the contract's currency; quantities and bounds of tiers are in the units of the price, as its own are.
Pure: no Django, no clock.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal, cast

from billing.metering.errors import DefinitionError
from billing.metering.exact_json import dumps
from billing.metering.filters import read_filters
from billing.pricing import Price, PriceError, parse_price
from billing.pricing.fields import Fields
from billing.pricing.prices import Discount
from billing.pricing.usages import needs


@dataclass(frozen=True, slots=True)
class ReplacePrice:
    """Another price in place of the charge's."""

    price: Price


@dataclass(frozen=True, slots=True)
class TierChange:
    """New amounts of the tier that ends at `up_to` (None: the open one); None keeps what the tier has."""

    up_to: Decimal | None
    unit_amount: Decimal | None = None
    flat_amount: Decimal | None = None


@dataclass(frozen=True, slots=True)
class ChangeTiers:
    """Other amounts in some tiers of the charge's price."""

    tiers: tuple[TierChange, ...]


@dataclass(frozen=True, slots=True)
class Multiply:
    """All amounts of the price times a factor; its discounts, minimum and maximum stay."""

    factor: Decimal


@dataclass(frozen=True, slots=True)
class MoveMeter:
    """Another meter counts the charge's usage; the term's row names it."""


@dataclass(frozen=True, slots=True)
class Narrow:
    """Only usage that passes these filters counts, besides the meter's own; canonical JSON."""

    filters: str


@dataclass(frozen=True, slots=True)
class Allowance:
    """A free quantity a period: on top of the price's own, or in place of it."""

    quantity: Decimal
    mode: Literal["add", "replace"]


@dataclass(frozen=True, slots=True)
class Reduce:
    """A discount after those of the price: a percentage, or an amount a period."""

    discount: Discount


@dataclass(frozen=True, slots=True)
class FreeUsage:
    """A discount in units: so many are free each period, besides what is free already."""

    quantity: Decimal


@dataclass(frozen=True, slots=True)
class Minimum:
    """The least that a period of the charge costs, in place of the price's own minimum."""

    amount: Decimal


@dataclass(frozen=True, slots=True)
class Maximum:
    """The most that a period of the charge costs, in place of the price's own maximum."""

    amount: Decimal


@dataclass(frozen=True, slots=True)
class SetQuantity:
    """How many of a recurring fee, in place of the subscription's quantity."""

    quantity: Decimal


@dataclass(frozen=True, slots=True)
class AddCharge:
    """A charge that the plan version does not have; the term's row names it."""


@dataclass(frozen=True, slots=True)
class RemoveCharge:
    """A charge of the plan version that does not hold for this customer."""


@dataclass(frozen=True, slots=True)
class Spend:
    """A minimum, a maximum or a commitment on what the subscription bills; `codes` () counts all its charges."""

    kind: Literal["minimum", "maximum", "commitment"]
    amount: Decimal
    per: Literal["cycle", "term"] = "cycle"
    codes: tuple[str, ...] = ()
    overage_factor: Decimal = Decimal(1)
    name: str = ""
    overage_prices: tuple[tuple[str, Price], ...] = ()


TermValue = (
    ReplacePrice | ChangeTiers | Multiply | MoveMeter | Narrow | Allowance | Reduce | FreeUsage | Minimum | Maximum
    | SetQuantity | AddCharge | RemoveCharge | Spend
)  # fmt: skip


def read_value(kind: str, obj: object, path: str = "value") -> TermValue:
    """Read what a term of `kind` holds; PriceError with the path to the first thing that is wrong."""
    fields = Fields(obj, path)
    keys, read = READERS[kind]
    fields.only(keys, "this term")
    return read(fields)


def _price(fields: Fields) -> TermValue:
    return ReplacePrice(parse_price(fields.required("price"), fields.at("price")))


def _tiers(fields: Fields) -> TermValue:
    rows = fields.objects("tiers")
    if not rows:
        raise PriceError("incomplete", "Name at least one tier by its bound.", fields.at("tiers"))
    found = tuple(map(_tier, rows))
    bounds = [tier.up_to for tier in found]
    for row, bound in zip(rows, bounds, strict=True):
        if bounds.count(bound) > 1:
            raise PriceError("tier_order", "This tier is named twice: keep one.", row.at("up_to"))
    return ChangeTiers(found)


def _tier(fields: Fields) -> TierChange:
    fields.only(("up_to", "unit_amount", "flat_amount"), "a changed tier")
    given = {key: fields.number(key, minimum=0) for key in ("unit_amount", "flat_amount") if key in fields}
    if not given:
        raise PriceError("incomplete", "Write the tier's new unit_amount or flat_amount.", fields.path)
    bound = None if fields.required("up_to") is None else fields.number("up_to", minimum=0)
    return TierChange(bound, **given)


def _factor(fields: Fields) -> TermValue:
    return Multiply(fields.number("factor", minimum=0))


def _narrowing(fields: Fields) -> TermValue:
    filters, path = fields.required("filters"), fields.at("filters")
    try:
        found = read_filters(filters, path)
    except DefinitionError as error:
        raise PriceError(error.code, error.message, error.path) from None
    if not found:
        raise PriceError("incomplete", 'Name what counts, such as {"region": "eu"}.', path)
    return Narrow(dumps(dict(sorted(filters.items()))))


def _allowance(fields: Fields) -> TermValue:
    mode = cast(Literal["add", "replace"], fields.choice("mode", ("add", "replace"), "add"))
    return Allowance(fields.number("quantity", minimum=0), mode)


def _discount(fields: Fields) -> TermValue:
    given = [key for key in ("percentage", "amount", "quantity") if key in fields]
    if len(given) != 1:
        raise PriceError("incomplete", "A discount is a percentage, an amount or a quantity: write one.", fields.path)
    if "percentage" in fields:
        return Reduce(Discount(percentage=fields.number("percentage", minimum=0, maximum=100)))
    if "amount" in fields:
        return Reduce(Discount(amount=fields.number("amount", minimum=0)))
    return FreeUsage(fields.number("quantity", minimum=0))


def _minimum(fields: Fields) -> TermValue:
    return Minimum(fields.number("amount", minimum=0))


def _maximum(fields: Fields) -> TermValue:
    return Maximum(fields.number("amount", minimum=0))


def _quantity(fields: Fields) -> TermValue:
    return SetQuantity(fields.number("quantity", minimum=0))


def _spend(kind: str) -> Callable[[Fields], TermValue]:
    return lambda fields: read_spend(fields, kind)


def read_spend(fields: Fields, kind: str) -> Spend:
    """An agreement on spending; `kind` is minimum_spend, maximum_spend or commitment."""
    per = cast(Literal["cycle", "term"], fields.choice("per", ("cycle", "term"), "cycle"))
    factor = fields.number("overage_factor", minimum=0) if "overage_factor" in fields else Decimal(1)
    prices = _overage_prices(fields)
    if prices and "overage_factor" in fields:
        raise PriceError(
            "incomplete", "What goes beyond has a factor or other prices, not both.", fields.at("overage_prices")
        )
    return Spend(
        cast(Literal["minimum", "maximum", "commitment"], kind.removesuffix("_spend")),
        fields.number("amount", minimum=0), per, read_texts(fields, "charges"), factor, read_name(fields), prices,
    )  # fmt: skip


def _overage_prices(fields: Fields) -> tuple[tuple[str, Price], ...]:
    """What goes beyond, by charge code: a rate card."""
    prices, path = fields.obj.get("overage_prices", {}), fields.at("overage_prices")
    if not isinstance(prices, dict):
        raise PriceError("not_an_object", 'Write prices by charge, such as {"tokens": {"model": "per_unit", …}}.', path)
    found = []
    for code, price in sorted(prices.items()):
        parsed = parse_price(price, f"{path}.{code}")
        if needs(parsed).kind != "quantity":
            raise PriceError("invalid_choice", "What goes beyond is priced by its quantity.", f"{path}.{code}")
        found.append((code, parsed))
    return tuple(found)


def read_texts(fields: Fields, key: str) -> tuple[str, ...]:
    """Codes, such as those of the charges that count, in order and each once; () where there are none."""
    codes = fields.obj.get(key, [])
    if not isinstance(codes, list) or not all(isinstance(code, str) for code in codes):
        raise PriceError("not_a_list", f"Write a list of codes of {key}; leave it out for all.", fields.at(key))
    return tuple(sorted(set(codes)))


def read_name(fields: Fields) -> str:
    """What the invoice prints; "" for the kind's own words."""
    name = fields.obj.get("name", "")
    if not isinstance(name, str) or len(name) > 100:
        raise PriceError("invalid_choice", "A name is a text of at most 100 characters.", fields.at("name"))
    return name


Reader = Callable[[Fields], TermValue]
READERS: Final[dict[str, tuple[tuple[str, ...], Reader]]] = {
    "price": (("price",), _price),
    "tiers": (("tiers",), _tiers),
    "factor": (("factor",), _factor),
    "meter": ((), lambda fields: MoveMeter()),
    "narrowing": (("filters",), _narrowing),
    "allowance": (("quantity", "mode"), _allowance),
    "discount": (("percentage", "amount", "quantity"), _discount),
    "minimum": (("amount",), _minimum),
    "maximum": (("amount",), _maximum),
    "quantity": (("quantity",), _quantity),
    "add": ((), lambda fields: AddCharge()),
    "remove": ((), lambda fields: RemoveCharge()),
    "minimum_spend": (("amount", "charges", "name"), _spend("minimum")),
    "maximum_spend": (("amount", "charges", "name"), _spend("maximum")),
    "commitment": (("amount", "per", "charges", "overage_factor", "overage_prices", "name"), _spend("commitment")),
}
"""The keys that each kind takes, and how they are read."""
