"""A price: one model with its parameters, and what surrounds every model (R3; docs/formats.md).

Amounts are in units of `Price.currency`, not in its minor unit; tiers and allowances are in converted units. These
classes hold what `parse_price` has checked and check nothing themselves.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

Rounding = Literal["none", "up", "down", "half_up"]


@dataclass(frozen=True, slots=True)
class Unit:
    """How a metered quantity becomes priced units: divided, then rounded to whole units or not."""

    divide_by: Decimal = Decimal(1)
    round: Rounding = "none"


@dataclass(frozen=True, slots=True)
class Discount:
    """Either a percentage (0 to 100) or an amount off what the model and earlier discounts leave."""

    percentage: Decimal | None = None
    amount: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Tier:
    """Quantities above the previous tier's bound, up to and including `up_to`; None is open.

    With `package_size` the tier is sold in blocks of that size, rounded up, at `unit_amount` per block.
    """

    up_to: Decimal | None
    unit_amount: Decimal | None = None
    flat_amount: Decimal | None = None
    package_size: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Flat:
    """One amount per period, whatever the quantity."""

    amount: Decimal


@dataclass(frozen=True, slots=True)
class PerUnit:
    """The quantity times a unit amount."""

    unit_amount: Decimal


@dataclass(frozen=True, slots=True)
class Graduated:
    """Each tier's share at its own price, plus the flat amount of each tier reached."""

    tiers: tuple[Tier, ...]
    flat_at_zero: bool = True


@dataclass(frozen=True, slots=True)
class Volume:
    """The whole quantity at the price of the one tier that contains it, plus that tier's flat amount."""

    tiers: tuple[Tier, ...]
    flat_at_zero: bool = True


@dataclass(frozen=True, slots=True)
class Package:
    """Whole packages of `package_size` units at `amount` each; a part of one counts whole, or not at all."""

    package_size: Decimal
    amount: Decimal
    round: Literal["up", "down"] = "up"


Model = Flat | PerUnit | Graduated | Volume | Package


@dataclass(frozen=True, slots=True)
class Price:
    """What a quantity costs: unit conversion, free quantity, model and discounts, in this order (R3)."""

    model: Model
    currency: str = "USD"
    unit: Unit = Unit()
    free_quantity: Decimal = Decimal(0)
    discounts: tuple[Discount, ...] = ()
    minimum_amount: Decimal | None = None
    maximum_amount: Decimal | None = None
