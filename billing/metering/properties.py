"""Properties of an event's data: the way to them, and which of their values are numbers.

Data is what JSON holds, with numbers as `int` or exact `Decimal`. Pure: no Django, no database, no clock.
"""

import re
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from billing.money import MAX_DIGITS

MAX_DEPTH: Final = 8
"""Names that the way to a property may have."""

_PATH: Final = re.compile(r"[^.\s][^.]*(\.[^.]+)*")
_INDEX: Final = re.compile(r"-?[0-9]{1,9}")
_NUMBER: Final = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")
_MAX_TEXT: Final = 2 * MAX_DIGITS


def path_of(path: str) -> list[str]:
    """The names on the way to a property: "usage.output" is output within usage."""
    return path.split(".") if path else []


def path_problem(path: Any) -> str | None:
    """What is wrong with a path to a property, if anything."""
    if not isinstance(path, str) or not _PATH.fullmatch(path) or "\0" in path:
        return f"{path!r} is no path to a property; write names joined by points, e.g. usage.output."
    if len(path_of(path)) > MAX_DEPTH:
        return f"The path {path} goes {len(path_of(path))} levels deep; at most {MAX_DEPTH} are read."
    return None


def read(data: Any, names: tuple[str, ...] | list[str]) -> Any:
    """The value that stands at the end of the names, None where there is none; a number picks from a list."""
    for name in names:
        if isinstance(data, dict):
            data = data.get(name)
        elif isinstance(data, list) and _INDEX.fullmatch(name) and -len(data) <= int(name) < len(data):
            data = data[int(name)]
        else:
            return None
    return data


def number_of(value: Any) -> Fraction | None:
    """The number that a property holds, as JSON number or as text; None when it holds none (R1.3).

    No numbers are: true and false, NaN and infinities, and what has more than 40 digits before or after the point.
    """
    if isinstance(value, str):
        if len(value) > _MAX_TEXT or _NUMBER.fullmatch(value) is None:
            return None
        value = Decimal(value)
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    if isinstance(value, int):
        return Fraction(value) if abs(value) < 10**MAX_DIGITS else None
    return Fraction(value) if _is_short(value) else None


def _is_short(number: Decimal) -> bool:
    """Whether a number is finite and has at most 40 digits before and after the point, found without writing it out."""
    if not number.is_finite():
        return False
    if not number:
        return True
    _, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)  # only NaN and infinities have words there
    zeros = len(digits) - len("".join(map(str, digits)).rstrip("0"))
    return number.adjusted() < MAX_DIGITS and -(exponent + zeros) <= MAX_DIGITS
