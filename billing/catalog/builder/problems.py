"""All that is wrong with a price at once, each at its place, so that a form can say it there. Pure: no Django."""

import re
from dataclasses import dataclass
from typing import Any, Final

from billing.pricing import Price, PriceError, parse_price

AT_MOST: Final = 25
_ROW: Final = re.compile(r"price\.(tiers|cells|discounts)\[(\d+)\](.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Problem:
    """A sentence and the path to its place below the price: `tiers[1].up_to`, or "" for the price as a whole."""

    path: str
    message: str

    def to_json(self) -> dict[str, str]:
        """As the form reads it."""
        return {"path": self.path, "message": self.message}


def read_price(obj: object) -> tuple[Price | None, list[Problem]]:
    """The price, or everything that keeps it from being one, in order of discovery and at most 25.

    The rules are those of `parse_price`, which stops at the first thing wrong: a wrong row is noted, left out, and the
    rest is read again.
    """
    problems: list[Problem] = []
    rows: dict[str, list[int]] = {}  # list → places of its remaining rows, as given
    while len(problems) < AT_MOST:
        try:
            price = parse_price(obj)
        except PriceError as error:
            found = _ROW.fullmatch(error.path)
            problems.append(Problem(_given(error.path, found, rows), error.message))
            if found is None or not isinstance(obj, dict):
                break
            name, place = found[1], int(found[2])
            given: list[Any] = obj[name]
            if name == "tiers" and place == len(given) - 1:
                break  # without its last row, a price would lack its open end
            places = rows.setdefault(name, list(range(len(given))))
            del places[place]
            obj = obj | {name: given[:place] + given[place + 1 :]}
        else:
            return (None if problems else price), problems
    return None, problems


def _given(path: str, found: re.Match[str] | None, rows: dict[str, list[int]]) -> str:
    """The path in the price as it was given, before rows were left out."""
    if found is None:
        return path.removeprefix("price").removeprefix(".")
    place = int(found[2])
    places = rows.get(found[1])
    return f"{found[1]}[{places[place] if places else place}]{found[3]}"
