"""At how much usage two prices meet: where one customer's candidate becomes dearer than today's terms.

Pure: no Django, no clock.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

Amount = Callable[[Decimal], Decimal]
"""What is paid when all usage is multiplied by a factor."""

GRID: Final = tuple(
    Decimal(text)
    for text in ("0", "0.01", "0.02", "0.05", "0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7", "0.8", "0.9", "1",
                 "1.2", "1.4", "1.6", "1.8", "2", "2.5", "3", "4", "5", "7.5", "10", "20", "50", "100")
)  # fmt: skip
"""Factors that are looked at: from no usage to a hundred times as much."""
STEPS: Final = 20
"""Halvings between two of them: a millionth of the gap."""


@dataclass(frozen=True, slots=True)
class Crossing:
    """From this factor on the candidate is dearer than today's terms, or cheaper again."""

    factor: Decimal
    dearer: bool


def crossings(today: Amount, candidate: Amount) -> list[Crossing]:
    """Where the candidate changes sides as usage grows, as far as the grid sees it; [] when it never does.

    Each is found to a millionth of the gap between two factors of the grid, from above: at it, the side has changed.
    """
    found: list[Crossing] = []
    side, before = 0, GRID[0]
    for factor in GRID:
        now = _side(today, candidate, factor)
        if now and side and now != side:
            found.append(Crossing(_between(today, candidate, before, factor, now), now > 0))
        if now:
            side = now
        before = factor
    return found


def _side(today: Amount, candidate: Amount, factor: Decimal) -> int:
    """1 where the candidate is dearer, −1 where it is cheaper, 0 where both are the same."""
    difference = candidate(factor) - today(factor)
    return (difference > 0) - (difference < 0)


def _between(today: Amount, candidate: Amount, low: Decimal, high: Decimal, wanted: int) -> Decimal:
    for _ in range(STEPS):
        middle = (low + high) / 2
        if _side(today, candidate, middle) == wanted:
            high = middle
        else:
            low = middle
    return high
