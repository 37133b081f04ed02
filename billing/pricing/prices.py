"""A price: one model with its parameters, and what surrounds every model (R3; docs/formats.md).

Amounts are in units of `Price.currency` (or of its custom unit), not in its minor unit; tiers and allowances are in
converted units. These classes hold what `parse_price` has checked and check nothing themselves.
"""

from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any, Literal

Rounding = Literal["none", "up", "down", "half_up"]


class Remembering:
    """A model that keeps what was worked out of it once: a thousand cells are indexed once, and not for each rating."""

    @cached_property
    def memo(self) -> dict[Any, Any]:
        """What was worked out, by what it is for; no part of the value."""
        return {}


@dataclass(frozen=True, slots=True)
class Unit:
    """How a metered quantity becomes priced units: divided, then rounded to whole units or not."""

    divide_by: Decimal = Decimal(1)
    round: Rounding = "none"


@dataclass(frozen=True, slots=True)
class CustomUnit:
    """Credits or tokens in which a price is written: rounded to `places`, then `rate` of the currency for each.

    A `rate` of None has to be filled in from the dated rates before the price is rated.
    """

    code: str
    places: int = 0
    rate: Decimal | None = None


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
class RateTier:
    """Values above the previous tier's bound, up to and including `up_to`, at `rate` percent."""

    up_to: Decimal | None
    rate: Decimal
    flat_amount: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Flat:
    """One amount per period, whatever the quantity."""

    amount: Decimal


@dataclass(frozen=True, slots=True)
class PerUnit:
    """The quantity times a unit amount."""

    unit_amount: Decimal


@dataclass(frozen=True)
class Graduated(Remembering):
    """Each tier's share at its own price, plus the flat amount of each tier reached."""

    tiers: tuple[Tier, ...]
    flat_at_zero: bool = True


@dataclass(frozen=True)
class Volume(Remembering):
    """The whole quantity at the price of the one tier that contains it, plus that tier's flat amount."""

    tiers: tuple[Tier, ...]
    flat_at_zero: bool = True


@dataclass(frozen=True, slots=True)
class Package:
    """Whole packages of `package_size` units at `amount` each; a part of one counts whole, or not at all."""

    package_size: Decimal
    amount: Decimal
    round: Literal["up", "down"] = "up"


@dataclass(frozen=True)
class Stairstep(Remembering):
    """The flat amount of the tier that contains the quantity."""

    tiers: tuple[Tier, ...]


@dataclass(frozen=True, slots=True)
class Percentage:
    """`rate` percent of each event's value, plus `fixed_amount`, within a minimum and a maximum for each event.

    The first `free_events` events, and the first `free_amount` of value, cost nothing: whichever runs out first ends
    both. The event that crosses the free value pays the fixed part whole and the rate on the excess.
    """

    rate: Decimal
    fixed_amount: Decimal | None = None
    free_events: int | None = None
    free_amount: Decimal | None = None
    minimum_per_event: Decimal | None = None
    maximum_per_event: Decimal | None = None

    @property
    def per_event(self) -> bool:
        """Whether it takes more than the sum of the values."""
        given = (self.fixed_amount, self.free_events, self.free_amount, self.minimum_per_event, self.maximum_per_event)
        return any(each is not None for each in given)


@dataclass(frozen=True)
class GraduatedPercentage(Remembering):
    """Each tier's share of the value at its own rate, plus the flat amount of each tier reached."""

    tiers: tuple[RateTier, ...]


@dataclass(frozen=True)
class VolumePercentage(Remembering):
    """The whole value at the rate of the one tier that contains it, plus that tier's flat amount."""

    tiers: tuple[RateTier, ...]


@dataclass(frozen=True, slots=True)
class Dynamic:
    """Events that carry their price: the sum of them times `multiplier`."""

    multiplier: Decimal = Decimal(1)


@dataclass(frozen=True, slots=True)
class Cell:
    """What one combination of values costs: a price of its own, in the matrix's currency."""

    when: tuple[str, ...]
    price: "Price"


@dataclass(frozen=True)
class Matrix(Remembering):
    """A price for each combination of values of one to three dimensions; `default` for those without a cell.

    A combination that has neither is refused when it was used: it has no price.
    """

    dimensions: tuple[str, ...]
    cells: tuple[Cell, ...]
    default: "Price | None" = None


Model = (
    Flat | PerUnit | Graduated | Volume | Package | Stairstep
    | Percentage | GraduatedPercentage | VolumePercentage | Dynamic | Matrix
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Price:
    """What a quantity costs: unit, free quantity, model, discounts, minimum and maximum, in this order (R3).

    With `custom_unit` every amount of it is in that unit, and the result is converted to `currency` in the end.
    """

    model: Model
    currency: str = "USD"
    unit: Unit = Unit()
    free_quantity: Decimal = Decimal(0)
    discounts: tuple[Discount, ...] = ()
    minimum_amount: Decimal | None = None
    maximum_amount: Decimal | None = None
    custom_unit: CustomUnit | None = None
