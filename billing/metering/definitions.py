"""The definition of a meter as JSON, read strictly: what it counts, before anything is saved (R2).

Pure: no Django, no database, no clock.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Literal, get_args

from billing.metering import expressions
from billing.metering.errors import DefinitionError
from billing.metering.expressions import ExpressionError, Node
from billing.metering.filters import Filter, check_path, read_filters
from billing.money import plain
from billing.pricing.errors import PriceError
from billing.pricing.fields import Fields

Aggregation = Literal["count", "sum", "max", "min", "unique_count", "latest", "average", "weighted_sum"]
Mode = Literal["half_up", "up", "down"]

KEYS: Final = ("aggregation", "value", "filters", "group_by", "operation", "recurring", "prorate", "rounding")
MAX_DIMENSIONS: Final = 5
MAX_PLACES: Final = 12
PRORATED: Final = ("sum", "unique_count")


@dataclass(frozen=True, slots=True)
class Rounding:
    """How a quantity is rounded, once (R2.5): `up` away from zero, `down` towards it, `half_up` half away from it.

    Negative places round to tens and hundreds.
    """

    mode: Mode
    places: int


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
        fields = _fields(obj, path)
        aggregation = _aggregation(fields)
        return MeterDefinition(
            aggregation=aggregation,
            value=_value(fields, aggregation),
            filters=_filters(fields),
            group_by=_group_by(fields),
            operation=_operation(fields, aggregation),
            recurring=_recurring(fields),
            prorate=_prorate(fields, aggregation),
            rounding=_rounding(fields),
        )
    except PriceError as error:
        raise DefinitionError(error.code, error.message, error.path) from None


def meter_problems(obj: object) -> dict[str, str]:
    """What is wrong with a meter's definition: a sentence for each of its keys that must be corrected."""
    fields = Fields(obj, "meter")
    aggregation: Any = fields.obj.get("aggregation")
    readers: dict[str, Callable[[], object]] = {
        "aggregation": lambda: _aggregation(fields),
        "filters": lambda: _filters(fields),
        "group_by": lambda: _group_by(fields),
        "recurring": lambda: _recurring(fields),
        "rounding": lambda: _rounding(fields),
    }
    if aggregation in get_args(Aggregation):
        readers["value"] = lambda: _value(fields, aggregation)
        readers["operation"] = lambda: _operation(fields, aggregation)
        readers["prorate"] = lambda: _prorate(fields, aggregation)
    problems = {}
    for key, read in readers.items():
        try:
            read()
        except (PriceError, DefinitionError) as error:
            place = error.path.removeprefix(fields.at(key)).lstrip(".")
            problems[key] = f"{place}: {error.message}" if place else error.message
    return problems


def _fields(obj: object, path: str) -> Fields:
    """The keys of a meter; an aggregation is always among them."""
    fields = Fields(obj, path)
    fields.only(KEYS, "a meter")
    fields.required("aggregation")
    return fields


def _aggregation(fields: Fields) -> Aggregation:
    """How values become a quantity."""
    choice: Any = fields.choice("aggregation", get_args(Aggregation), "")
    return choice  # type: ignore[no-any-return]  # one of the words


def _recurring(fields: Fields) -> bool:
    """Whether what happened before the period is carried in (R2.4)."""
    return fields.flag("recurring", False)


def _filters(fields: Fields) -> tuple[Filter, ...]:
    """What an event must be like to count."""
    return read_filters(fields.obj.get("filters", {}), fields.at("filters"))


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


def _group_by(fields: Fields) -> tuple[str, ...]:
    """The properties by which quantities are kept apart."""
    value, path = fields.obj.get("group_by", []), fields.at("group_by")
    if not isinstance(value, list):
        raise DefinitionError("not_a_list", f'Write a list of properties, such as ["model"], not {value!r}.', path)
    if len(value) > MAX_DIMENSIONS:
        message = f"{len(value)} dimensions are named; at most {MAX_DIMENSIONS} are kept apart."
        raise DefinitionError("out_of_range", message, path)
    for index, property_ in enumerate(value):
        check_path(property_, f"{path}[{index}]")
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
    check_path(value, path)
    return str(value)


def _prorate(fields: Fields, aggregation: str) -> bool:
    """Whether days of presence weigh (R2.4): only a recurring sum or unique_count stays present."""
    prorate = fields.flag("prorate", False)
    if prorate and (aggregation not in PRORATED or not _recurring(fields)):
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
