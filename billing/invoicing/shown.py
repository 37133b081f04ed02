"""Which steps of a line are shown: all, or the largest where there are too many to read. Pure: no Django, no clock."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

from billing.money import EXACT, plain

MOST: Final = 31
"""Steps that are all shown, such as the days of a month; of more, the `LARGEST` are."""
LARGEST: Final = 20


def shown_steps(steps: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The steps in their order, or the largest of them and one that adds up the others: the sum stays the same."""
    if len(steps) <= MOST:
        return list(steps)
    amounts = [Decimal(step["amount"] or 0) for step in steps]
    by_size = sorted(range(len(steps)), key=lambda place: -abs(amounts[place]))  # stable: of equal ones the first
    kept = set(by_size[:LARGEST])
    rest = Decimal(0)
    for place, amount in enumerate(amounts):
        rest = rest if place in kept else EXACT.add(rest, amount)
    more = {"label": f"{len(steps) - LARGEST:,} more", "quantity": None, "unit_amount": None, "flat_amount": None}
    return [step for place, step in enumerate(steps) if place in kept] + [more | {"amount": plain(rest)}]
