"""Filters: what an event's properties must be like for a meter to count it (R2.1).

Between properties all filters must hold, and within one all conditions. Pure: no Django, no database, no clock.
"""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final, Literal, get_args

from billing.metering.errors import DefinitionError
from billing.metering.properties import number_of, path_of, path_problem, read
from billing.money import AmountError, parse_decimal

Option = str | bool | Decimal
Operator = Literal["gt", "gte", "lt", "lte"]

KEYS: Final = ("not", *get_args(Operator), "exists")


@dataclass(frozen=True, slots=True)
class OneOf:
    """The property equals one of the options, as JSON does: 1.0 is 1, and "1" is not; `negated`: it equals none."""

    options: tuple[Option, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Compare:
    """The property is a number (texts are read as numbers) that lies on this side of the bound."""

    operator: Operator
    bound: Decimal


@dataclass(frozen=True, slots=True)
class Exists:
    """The property is there and not null; `wanted` false: it is not there."""

    wanted: bool


Condition = OneOf | Compare | Exists


@dataclass(frozen=True, slots=True)
class Filter:
    """A property, and the conditions that must all hold for it."""

    names: tuple[str, ...]
    conditions: tuple[Condition, ...]


def matches(filter_: Filter, data: dict[str, Any]) -> bool:
    """Whether an event's data passes the filter.

    A property that is missing, or null, equals nothing and lies in no range; so it passes `not` and `exists: false`.
    """
    value = read(data, filter_.names)
    return all(_holds(condition, value) for condition in filter_.conditions)


def _holds(condition: Condition, value: object) -> bool:
    """Whether a condition holds for a property's value, None for a missing one."""
    match condition:
        case OneOf(options, negated):
            return any(_equal(value, option) for option in options) is not negated
        case Exists(wanted):
            return (value is not None) is wanted
        case Compare(operator, bound):
            number = number_of(value)
            return number is not None and _compares(number, operator, Fraction(bound))


def _compares(number: Fraction, operator: Operator, bound: Fraction) -> bool:
    """Whether a number lies on this side of the bound."""
    return {"gt": number > bound, "gte": number >= bound, "lt": number < bound, "lte": number <= bound}[operator]


def _equal(value: object, option: Option) -> bool:
    """Equality as JSON has it, where true is not 1."""
    if isinstance(value, bool) or isinstance(option, bool):
        return value is option
    return isinstance(value, str) == isinstance(option, str) and value == option


def read_filters(obj: object, path: str) -> tuple[Filter, ...]:
    """The filters that a JSON object writes: for each property a value, a list of values, or conditions."""
    if not isinstance(obj, dict):
        message = (
            'Filters are properties with their values, such as {"region": ["eu", "us"]}; {} lets all events count.'
        )
        raise DefinitionError("not_an_object", message, path)
    found = []
    for property_, wanted in obj.items():
        at = f"{path}.{property_}"
        check_path(property_, at)
        conditions = _conditions(wanted, at) if isinstance(wanted, dict) else (_one_of(wanted, at),)
        found.append(Filter(tuple(path_of(property_)), conditions))
    return tuple(found)


def check_path(property_: object, path: str) -> None:
    """Refuse what is no path to a property."""
    if problem := path_problem(property_):
        raise DefinitionError("invalid_path", problem, path)


def _conditions(wanted: dict[str, Any], path: str) -> tuple[Condition, ...]:
    """The conditions of a property, as `{"gte": "10", "lt": "20"}` writes them."""
    if not wanted:
        message = f"No condition is named; write a value, a list of values, or an object with {', '.join(KEYS)}."
        raise DefinitionError("invalid_filter", message, path)
    return tuple(_condition(key, value, f"{path}.{key}") for key, value in wanted.items())


def _condition(key: str, value: object, path: str) -> Condition:
    """One condition by its name."""
    match key:
        case "not":
            return _one_of(value, path, negated=True)
        case "exists":
            if not isinstance(value, bool):
                message = f"{value!r} is neither true nor false; write one of them."
                raise DefinitionError("invalid_filter", message, path)
            return Exists(value)
        case "gt" | "gte" | "lt" | "lte":
            try:
                return Compare(key, parse_decimal(value, path))
            except AmountError as error:
                raise DefinitionError(error.code, error.message, path) from None
    message = f"{key!r} is no condition; there are {', '.join(KEYS)}. A list of values stands by itself."
    raise DefinitionError("invalid_filter", message, path)


def _one_of(wanted: object, path: str, *, negated: bool = False) -> OneOf:
    """A value or a list of some to compare with."""
    options = wanted if isinstance(wanted, list) else [wanted]
    if not options:
        message = "No values are listed, so that nothing would count; name one, or drop the filter."
        if negated:
            message = "No values are listed, so that nothing is left out; name one, or drop the filter."
        raise DefinitionError("invalid_filter", message, path)
    return OneOf(tuple(_option(option, path) for option in options), negated)


def _option(value: object, path: str) -> Option:
    """A value to compare with."""
    if isinstance(value, str) and "\0" in value:
        raise DefinitionError("invalid_filter", "The text holds a NUL character, which no event can; drop it.", path)
    if isinstance(value, str | bool):
        return value
    if isinstance(value, int):
        return Decimal(value)
    if isinstance(value, Decimal) and value.is_finite():
        return value
    message = f"A filter cannot compare with {value!r}; use texts, numbers, true or false."
    if value is None:
        message = 'A filter cannot compare with null; write {"exists": false} for what is missing or null.'
    raise DefinitionError("invalid_filter", message, path)
