"""What a customer would pay with more or less usage: the same lines, each quantity multiplied by a factor.

Pure: no Django, no clock.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from billing.money import EXACT
from billing.pricing import Price, PriceError, rate


@dataclass(frozen=True, slots=True)
class Line:
    """A line as it is rated: a price of usage with its quantity, or an amount that no usage changes (price None)."""

    amount: Decimal
    price: Price | None = None
    quantity: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Scaled:
    """What lines come to when all usage is multiplied; they are lines that `scaled` let through."""

    lines: Sequence[Line]

    def __call__(self, factor: Decimal) -> Decimal:
        """Σ of the rounded lines at that factor."""
        return sum((_at(line, factor) for line in self.lines), Decimal(0))


def scaled(lines: Sequence[Line]) -> Scaled | None:
    """None where a line's amount does not follow from its quantity alone, as with prices by dimensions or events,
    parts under different terms, or windows priced each alone: then “twice the usage” has no one meaning."""
    for line in lines:
        try:
            if _at(line, Decimal(1)) != line.amount:
                return None
        except (PriceError, ValueError, TypeError):
            return None
    return Scaled(tuple(lines))


def _at(line: Line, factor: Decimal) -> Decimal:
    if line.price is None:
        return line.amount
    return rate(line.price, EXACT.multiply(line.quantity, factor)).amount
