"""Which price of a matrix holds for which part of the usage (R3)."""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from billing.pricing.errors import PriceError
from billing.pricing.exact import Exact, added, exactly
from billing.pricing.prices import Matrix, Price
from billing.pricing.usages import Cells, Events, EventUse

Values = tuple[str | None, ...]

_KNOWN: Final[OrderedDict[int, tuple[Matrix, dict[Values, tuple[int, Price]]]]] = OrderedDict()
_MOST: Final = 256
"""Matrices whose cells are kept by their values: looking one up then costs the same in any of them."""


@dataclass(frozen=True, slots=True)
class Matching:
    """A combination of values, as it is printed; what of it was used, and its price."""

    name: str
    usage: Exact | Events
    price: Price


def matched(matrix: Matrix, usage: Cells | Events) -> Iterator[Matching]:
    """Each combination that was used, in the order of the cells; those of the default after them, by their values.

    PriceError where a combination has neither a cell nor a default, or the usage does not have a dimension.
    """
    cells = _cells(matrix)
    used = _sums(matrix, usage) if isinstance(usage, Cells) else _events(matrix, usage)
    last = len(cells)
    ordered = sorted(used, key=lambda values: (cells[values][0] if values in cells else last, _sortable(values)))
    for values in ordered:
        price = cells[values][1] if values in cells else matrix.default
        name = ", ".join(
            f"no {dimension}" if value is None else value
            for dimension, value in zip(matrix.dimensions, values, strict=True)
        )
        if price is None:
            if isinstance(used[values], Decimal) and not used[values]:
                continue
            message = f"{name} has no price; add a cell for it, or a default."
            raise PriceError("no_cell", message, "price.cells")
        yield Matching(name, used[values], price)


def _cells(matrix: Matrix) -> dict[Values, tuple[int, Price]]:
    """The cells by their values, with their places."""
    known = _KNOWN.get(id(matrix))
    if known is None or known[0] is not matrix:
        known = (matrix, {cell.when: (place, cell.price) for place, cell in enumerate(matrix.cells)})
        _KNOWN[id(matrix)] = known
        while len(_KNOWN) > _MOST:
            _KNOWN.popitem(last=False)
    return known[1]


def _sums(matrix: Matrix, usage: Cells) -> dict[Values, Exact | Events]:
    for name in matrix.dimensions:
        if name not in usage.dimensions:
            message = f"The usage has no values of {name!r}, by which the price differs."
            raise PriceError("cells_needed", message, "usage.cells")
    places = [usage.dimensions.index(name) for name in matrix.dimensions]
    found: dict[Values, Exact | Events] = {}
    for values, quantity in usage.rows:
        key = tuple(values[place] for place in places)
        before = found.get(key, Decimal(0))
        assert not isinstance(before, Events)
        found[key] = added((before, exactly(quantity)))
    return found


def _events(matrix: Matrix, usage: Events) -> dict[Values, Exact | Events]:
    groups: dict[Values, list[EventUse]] = {}
    for event in usage.rows:
        values = dict(event.dimensions)
        groups.setdefault(tuple(values.get(name) for name in matrix.dimensions), []).append(event)
    return {values: Events(tuple(rows)) for values, rows in groups.items()}


def _sortable(values: Values) -> tuple[tuple[bool, str], ...]:
    return tuple((value is None, value or "") for value in values)
