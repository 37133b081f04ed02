"""What is rated: a quantity, quantities by dimension values, or single events (R3).

A price says by `needs` which of them it takes.
"""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Literal


@dataclass(frozen=True, slots=True)
class Cells:
    """Quantities in metered units by the values of `dimensions`, in their order; None where an event has no value."""

    dimensions: tuple[str, ...]
    rows: tuple[tuple[tuple[str | None, ...], Decimal], ...]


@dataclass(frozen=True, slots=True)
class EventUse:
    """One event: its value (what a `percentage` takes its share of), and its dimension values by name."""

    amount: Decimal
    dimensions: tuple[tuple[str, str | None], ...] = ()


@dataclass(frozen=True, slots=True)
class Events:
    """Single events in order of time."""

    rows: tuple[EventUse, ...]


Usage = Decimal | Fraction | Cells | Events


@dataclass(frozen=True, slots=True)
class Need:
    """What a price takes: one quantity, quantities by `dimensions`, or events with the values of `dimensions`."""

    kind: Literal["quantity", "cells", "events"]
    dimensions: tuple[str, ...] = ()


def needs(price: object) -> Need:
    return Need("quantity")
