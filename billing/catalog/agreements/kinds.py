"""What the terms of a contract as a whole hold, read strictly from JSON (docs/terms.md). Pure: no Django, no clock."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from billing.catalog.terms.kinds import Spend, read_name, read_spend, read_texts
from billing.pricing import PriceError
from billing.pricing.fields import Fields


@dataclass(frozen=True, slots=True)
class AgreedSpend:
    """An agreement on spending, and what of the contract counts: all where both are empty."""

    spend: Spend
    subscriptions: tuple[str, ...] = ()
    products: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AgreedDiscount:
    """A percentage, or an amount a cycle, off what the contract is charged; `codes` narrow it to some charges."""

    percentage: Decimal | None
    amount: Decimal | None
    codes: tuple[str, ...] = ()
    name: str = ""


_COUNTED: Final = ("subscriptions", "products", "charges", "name")
KEYS: Final[dict[str, tuple[str, ...]]] = {
    "minimum_spend": ("amount", *_COUNTED),
    "maximum_spend": ("amount", *_COUNTED),
    "commitment": ("amount", "per", "overage_factor", "overage_prices", *_COUNTED),
    "discount": ("percentage", "amount", "charges", "name"),
}
"""The keys that each kind takes."""


def read_agreement(kind: str, obj: Mapping[str, Any], path: str = "value") -> AgreedSpend | AgreedDiscount:
    """Read what a term of `kind` holds; PriceError with the path to the first thing that is wrong."""
    fields = Fields(obj, path)
    fields.only(KEYS[kind], "this term")
    if kind == "discount":
        return _discount(fields)
    spend = read_spend(fields, kind)
    return AgreedSpend(spend, read_texts(fields, "subscriptions"), read_texts(fields, "products"))


def _discount(fields: Fields) -> AgreedDiscount:
    if ("percentage" in fields) == ("amount" in fields):
        raise PriceError("incomplete", "A discount is a percentage or an amount a period: write one.", fields.path)
    percentage = fields.number("percentage", minimum=0, maximum=100) if "percentage" in fields else None
    amount = fields.number("amount", minimum=0) if "amount" in fields else None
    return AgreedDiscount(percentage, amount, read_texts(fields, "charges"), read_name(fields))
