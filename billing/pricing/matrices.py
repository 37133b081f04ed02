"""Which price of a matrix each combination of values has, and what was used of it (R3)."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from billing.pricing.errors import PriceError
from billing.pricing.exact import Exact, exactly
from billing.pricing.prices import Matrix, Price
from billing.pricing.usages import Cells, Events, Usage

Values = tuple[str | None, ...]


@dataclass(slots=True)
class Match:
    """A combination that was used: its name, its price, and its quantity or the values of its events in order."""

    name: str
    price: Price
    quantity: Exact | None = None
    events: list[Exact] = field(default_factory=list)


def matched(matrix: Matrix, usage: Usage) -> list[Match]:
    """The combinations that were used: in the order of the matrix's cells, then those at the default price by name.

    The time taken grows with the combinations used, never with the cells. PriceError where a combination was used
    that has no price, or the usage does not say which.
    """
    found: dict[Values, Match] = {}
    if isinstance(usage, Cells):
        order = _order(matrix, usage.dimensions)
        for number, (given, quantity) in enumerate(usage.rows):
            values = tuple(given[place] for place in order)
            if values in found:
                message = f"{_name(matrix, values)} is there twice; write its quantity once."
                raise PriceError("duplicate_cell", message, f"usage.cells[{number}]")
            price = _price(matrix, values)
            if price is not None:
                found[values] = Match(_name(matrix, values), price, exactly(quantity))
            elif quantity:
                raise _unpriced(matrix, values, f"usage.cells[{number}]")
    elif isinstance(usage, Events):
        for number, event in enumerate(usage.rows):
            values = tuple(map(dict(event.dimensions).get, matrix.dimensions))
            if values not in found:
                price = _price(matrix, values)
                if price is None:
                    if not event.amount:
                        continue
                    raise _unpriced(matrix, values, f"usage.events[{number}]")
                found[values] = Match(_name(matrix, values), price)
            found[values].events.append(exactly(event.amount))
    else:
        message = f"This price depends on {', '.join(matrix.dimensions)}; give cells or events with their values."
        raise PriceError("cells_needed", message, "usage")
    last = len(matrix.cells)
    places = _places(matrix)
    return [found[values] for values in sorted(found, key=lambda each: (places.get(each, last), _name(matrix, each)))]


def _order(matrix: Matrix, given: tuple[str, ...]) -> list[int]:
    """Where each dimension of the matrix stands in the usage."""
    for name in given:
        if name not in matrix.dimensions:
            known = ", ".join(matrix.dimensions)
            message = f"The price does not depend on {name!r}; add up what is used by {known}, where it can be added."
            raise PriceError("unknown_dimension", message, "usage.cells")
    for name in matrix.dimensions:
        if name not in given:
            raise PriceError("cells_needed", f"The cells do not tell their {name!r}; add it.", "usage.cells")
    return [given.index(name) for name in matrix.dimensions]


def _places(matrix: Matrix) -> Mapping[Values, int]:
    """The place of each cell by its values; worked out once."""
    places: Mapping[Values, int] | None = matrix.memo.get("places")
    if places is None:
        places = matrix.memo["places"] = {cell.when: place for place, cell in enumerate(matrix.cells)}
    return places


def _price(matrix: Matrix, values: Values) -> Price | None:
    place = _places(matrix).get(values)
    return matrix.default if place is None else matrix.cells[place].price


def _name(matrix: Matrix, values: Values) -> str:
    """The values as an invoice prints them: “large, no region”."""
    return ", ".join(
        f"no {dimension}" if value is None else value
        for dimension, value in zip(matrix.dimensions, values, strict=True)
    )


def _unpriced(matrix: Matrix, values: Values, path: str) -> PriceError:
    by = ", ".join(matrix.dimensions)
    message = f"{_name(matrix, values)} has no price by {by}; add a cell for it, or a default."
    return PriceError("no_cell", message, path)
