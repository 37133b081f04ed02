"""What is rated: a quantity, quantities by dimension values, or single events (R3).

A price says by `needs` which of them it takes.
"""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from billing.pricing.prices import Dynamic, Matrix, Percentage, Price


@dataclass(frozen=True, slots=True)
class Cells:
    """Quantities in metered units by the values of `dimensions`, in their order; None where an event has no value."""

    dimensions: tuple[str, ...]
    rows: tuple[tuple[tuple[str | None, ...], Decimal], ...]


@dataclass(frozen=True, slots=True)
class EventUse:
    """One event: its value (what a `percentage` takes its share of), and its dimension values by name."""

    amount: Decimal | Fraction
    dimensions: tuple[tuple[str, str | None], ...] = ()


@dataclass(frozen=True, slots=True)
class Events:
    """Single events in order of time."""

    rows: tuple[EventUse, ...]


@dataclass(frozen=True, slots=True)
class Totals:
    """What single events add up to, for prices that need no more of them: the sum of their values, and how many."""

    amount: Decimal
    events: int


Usage = Decimal | Fraction | Cells | Events | Totals


@dataclass(frozen=True, slots=True)
class Need:
    """What a price takes: one quantity, its `Totals`, quantities by `dimensions`, or events with values of those."""

    kind: Literal["quantity", "totals", "cells", "events"]
    dimensions: tuple[str, ...] = ()


def needs(price: Price) -> Need:
    """The least usage by which a price can be rated exactly."""
    match price.model:
        case Matrix(dimensions, cells):
            inner = {needs(each).kind for each in (*(cell.price for cell in cells), price.model.default) if each}
            return Need("cells" if inner <= {"quantity"} else "events", dimensions)
        case Dynamic():
            return Need("totals")
        case Percentage() as model if model.per_event:
            bounded = (model.free_events, model.free_amount, model.minimum_per_event, model.maximum_per_event)
            plain = all(each is None for each in bounded) and not price.free_quantity and price.unit.round == "none"
            return Need("totals" if plain else "events")
    return Need("quantity")
