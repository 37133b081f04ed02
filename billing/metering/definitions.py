"""The definition of a meter as JSON, read strictly: what it counts, before anything is saved (R2).

Pure: no Django, no database, no clock.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Literal, get_args

from billing.metering import expressions
from billing.metering.expressions import ExpressionError, Node
from billing.metering.properties import path_of, path_problem
from billing.money import plain
from billing.pricing.errors import PriceError
from billing.pricing.fields import Fields

Aggregation = Literal["count", "sum", "max", "min", "unique_count", "latest", "average", "weighted_sum"]
Mode = Literal["half_up", "up", "down"]
Option = str | bool | Decimal

KEYS: Final = ("aggregation", "value", "filters", "group_by", "operation", "recurring", "prorate", "rounding")
MAX_DIMENSIONS: Final = 5
MAX_PLACES: Final = 12
PRORATED: Final = ("sum", "unique_count")


class DefinitionError(ValueError):
    """Input that cannot be measured: `code` for programs, `message` with the way out, `path` to the place.

    Codes: not_an_object, not_a_list, missing_key, unknown_key, invalid_choice, invalid_number, out_of_range,
    invalid_expression, invalid_path, invalid_filter, invalid_id, invalid_text, invalid_time, time_without_zone,
    invalid_period, unknown_timezone, not_allowed.
    """

    def __init__(self, code: str, message: str, path: str) -> None:
        self.code = code
        self.message = message
        self.path = path
        super().__init__(f"{path}: {message}")

    def to_json(self) -> dict[str, str]:
        """The error as commands answer it."""
        return {"code": self.code, "message": self.message, "path": self.path}


@dataclass(frozen=True, slots=True)
class Rounding:
    """How a quantity is rounded, once (R2.5): `up` away from zero, `down` towards it, `half_up` half away from it.

    Negative places round to tens and hundreds.
    """

    mode: Mode
    places: int


@dataclass(frozen=True, slots=True)
class Filter:
    """A property, and the values of which it must equal one, as JSON does: 1.0 is 1, and "1" is not."""

    names: tuple[str, ...]
    options: tuple[Option, ...]


@dataclass(frozen=True, slots=True)
class MeterDefinition:
    """How events become a quantity (R2); `value` is None for a count that reads none, `operation` a property's path."""

    aggregation: Aggregation
    value: Node | None = None
    filters: tuple[Filter, ...] = ()
    group_by: tuple[str, ...] = ()
    operation: str | None = None
    recurring: bool = False
    prorate: bool = False
    rounding: Rounding | None = None


def parse_meter(obj: object, path: str = "meter") -> MeterDefinition:
    """Read a meter's definition; DefinitionError names the first thing that is wrong with it, and where."""
    try:
        fields = Fields(obj, path)
        fields.only(KEYS, "a meter")
        fields.required("aggregation")
        aggregation: Any = fields.choice("aggregation", get_args(Aggregation), "")
        recurring = fields.flag("recurring", False)
        return MeterDefinition(
            aggregation=aggregation,
            value=_value(fields, aggregation),
            filters=_filters(fields),
            group_by=_group_by(fields),
            operation=_operation(fields, aggregation),
            recurring=recurring,
            prorate=_prorate(fields, aggregation, recurring),
            rounding=_rounding(fields),
        )
    except PriceError as error:
        raise DefinitionError(error.code, error.message, error.path) from None


def _value(fields: Fields, aggregation: str) -> Node | None:
    """The value's expression: every aggregation needs one, but a count reads none."""
    value, path = fields.obj.get("value"), fields.at("value")
    if aggregation == "count":
        if value is not None:
            message = "A count reads no value: leave the value out, or choose another aggregation."
            raise DefinitionError("not_allowed", message, path)
        return None
    if value is None:
        message = "The value is missing; name a property such as tokens, or an expression such as input + 4 * output."
        raise DefinitionError("missing_key", message, path)
    if not isinstance(value, str):
        raise DefinitionError("invalid_expression", f"{value!r} is no expression; write it as a text.", path)
    try:
        return expressions.parse(value)
    except ExpressionError as error:
        raise DefinitionError("invalid_expression", error.message, path) from None


def _filters(fields: Fields) -> tuple[Filter, ...]:
    """The filters: between properties all must hold, within one any value."""
    inner = Fields(fields.obj.get("filters", {}), fields.at("filters"))
    found = []
    for property_, wanted in inner.obj.items():
        path = inner.at(property_)
        _check_path(property_, path)
        options = wanted if isinstance(wanted, list) else [wanted]
        if not options:
            message = "No values are listed, so that nothing would count; name one, or drop the filter."
            raise DefinitionError("invalid_filter", message, path)
        found.append(Filter(tuple(path_of(property_)), tuple(_option(option, path) for option in options)))
    return tuple(found)


def _option(value: object, path: str) -> Option:
    """A value to compare with."""
    if isinstance(value, str | bool):
        return value
    if isinstance(value, int):
        return Decimal(value)
    if isinstance(value, Decimal) and value.is_finite():
        return value
    message = f"A filter cannot compare with {value!r}; use texts, numbers, true or false."
    raise DefinitionError("invalid_filter", message, path)


def _group_by(fields: Fields) -> tuple[str, ...]:
    """The properties by which quantities are kept apart."""
    value, path = fields.obj.get("group_by", []), fields.at("group_by")
    if not isinstance(value, list):
        raise DefinitionError("not_a_list", f'Write a list of properties, such as ["model"], not {value!r}.', path)
    if len(value) > MAX_DIMENSIONS:
        message = f"{len(value)} dimensions are named; at most {MAX_DIMENSIONS} are kept apart."
        raise DefinitionError("out_of_range", message, path)
    for index, property_ in enumerate(value):
        _check_path(property_, f"{path}[{index}]")
        if property_ in value[:index]:
            message = f"The dimension {property_} is named twice; name it once."
            raise DefinitionError("not_allowed", message, f"{path}[{index}]")
    return tuple(value)


def _operation(fields: Fields, aggregation: str) -> str | None:
    """The property that says whether an event adds or removes its value."""
    value, path = fields.obj.get("operation"), fields.at("operation")
    if value is None:
        return None
    if aggregation != "unique_count":
        message = f"Only a unique_count adds and removes; leave the operation out of this {aggregation}."
        raise DefinitionError("not_allowed", message, path)
    _check_path(value, path)
    return str(value)


def _prorate(fields: Fields, aggregation: str, recurring: bool) -> bool:
    """Whether days of presence weigh (R2.4): only a recurring sum or unique_count stays present."""
    prorate = fields.flag("prorate", False)
    if prorate and (aggregation not in PRORATED or not recurring):
        message = (
            "Only a recurring sum or unique_count is prorated; add recurring: true to one of them, or drop prorate."
        )
        raise DefinitionError("not_allowed", message, fields.at("prorate"))
    return prorate


def _rounding(fields: Fields) -> Rounding | None:
    """The rounding that follows the aggregation, if any."""
    if fields.obj.get("rounding") is None:
        return None
    inner = Fields(fields.obj["rounding"], fields.at("rounding"))
    inner.only(("mode", "places"), "a rounding")
    mode: Any = inner.choice("mode", get_args(Mode), "half_up")
    if isinstance(inner.obj.get("places"), Decimal):
        message = "The places are written with a point; write a whole number, such as 2 or -1."
        raise DefinitionError("invalid_number", message, inner.at("places"))
    places = inner.number("places", minimum=-MAX_PLACES, maximum=MAX_PLACES) if "places" in inner else Decimal(0)
    if places != int(places):
        raise DefinitionError("invalid_number", f"{plain(places)} is no whole number of places.", inner.at("places"))
    return Rounding(mode, int(places))


def _check_path(property_: object, path: str) -> None:
    """Refuse what is no path to a property."""
    if problem := path_problem(property_):
        raise DefinitionError("invalid_path", problem, path)
