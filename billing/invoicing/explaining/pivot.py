"""Usage as a table: a row for each day, or month, and a column for each of the largest values. Pure: no Django."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import reduce
from typing import Final

from billing.money import EXACT

Values = tuple[str | None, ...]
Use = tuple[date, Values, Decimal]
"""Day, values of dimensions, quantity."""
MOST_COLUMNS: Final = 5
MOST_DAYS: Final = 62
"""Days that are shown singly; of a longer period the months are."""


@dataclass(frozen=True, slots=True)
class Pivot:
    """`columns` are values of dimensions, the largest first; `left` is how many more are in the column “others”.

    A row is a day (`2023-11-30`) or a month (`2023-11`), the quantity of each column, of the others, and of all.
    """

    columns: list[Values]
    left: int
    rows: list[tuple[str, list[Decimal]]]
    totals: list[Decimal]


def pivot(uses: Sequence[Use], *, most: int = MOST_COLUMNS) -> Pivot:
    """Quantities that add up, as a table. Where there are no dimensions, it has the column of all alone."""
    sizes: dict[Values, Decimal] = defaultdict(Decimal)
    for _, values, quantity in uses:
        sizes[values] = EXACT.add(sizes[values], quantity)
    ordered = [] if list(sizes) in ([], [()]) else sorted(sizes, key=lambda each: -sizes[each])
    columns, others = ordered[:most], ordered[most:]
    by_month = len({day for day, *_ in uses}) > MOST_DAYS
    cells: dict[str, dict[Values, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for day, values, quantity in uses:
        row = cells[day.isoformat()[:7] if by_month else day.isoformat()]
        row[values] = EXACT.add(row[values], quantity)
    rows = [(when, _row(row, columns, others)) for when, row in sorted(cells.items())]
    return Pivot(columns, len(others), rows, _row(sizes, columns, others))


def _row(row: dict[Values, Decimal], columns: Sequence[Values], others: Sequence[Values]) -> list[Decimal]:
    found = [row.get(each, Decimal(0)) for each in columns]
    if others:
        found.append(_sum(row.get(each, Decimal(0)) for each in others))
    return [*found, _sum(row.values())]


def _sum(quantities: Iterable[Decimal]) -> Decimal:
    return reduce(EXACT.add, quantities, Decimal(0))
