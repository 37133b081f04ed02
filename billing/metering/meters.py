"""What a meter reads from an event, as SQL: its filters, its value, and why an event is invalid for it.

Paths and values always travel as parameters: a property's name can hold anything. The grammar of numbers is the one of
`money.parse_decimal`: JSON numbers and numeric strings of at most 40 digits; anything else is invalid (R1.3).
"""

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from billing.metering.errors import MeterError
from billing.metering.models import Meter
from billing.metering.properties import path_of, path_problem

MAX_DIMENSIONS: Final = 3
_NUMBER: Final = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?$"


@dataclass(frozen=True, slots=True)
class Fragment:
    """A piece of SQL over the event `e`, and the values of its placeholders, in order."""

    sql: str
    values: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Counted:
    """How a meter counts: conditions beginning with AND, an event's value, and `valid`, a condition on `c.value`."""

    filters: Fragment
    value: Fragment
    valid: str


def counted(meter: Meter) -> Counted:
    """The SQL of what the meter reads from one event: NULL where it can read nothing, so that the event is invalid."""
    filters = _filters(meter.filters)
    if meter.aggregation == Meter.Aggregation.COUNT:
        return Counted(filters, Fragment("NULL::numeric"), "true")
    sql = _SINGLE if meter.aggregation == Meter.Aggregation.UNIQUE_COUNT else _NUMERIC
    return Counted(filters, Fragment(sql, (path_of(meter.value),) * sql.count("%s")), "c.value IS NOT NULL")


def _limited(number: str) -> str:
    """SQL: the number, NULL when it has more than 40 digits before or after the point."""
    return f"CASE WHEN abs({number}) < 1e40 AND min_scale({number}) <= 40 THEN {number} END"


_SINGLE: Final = (
    "CASE WHEN jsonb_typeof(e.data #> %s::text[]) IN ('string', 'number', 'boolean') THEN e.data #> %s::text[] END"
)
# CASE keeps what is no number, and a text of a million digits, from the casts.
_NUMERIC: Final = f"""
    CASE jsonb_typeof(e.data #> %s::text[])
        WHEN 'number' THEN {_limited("(e.data #> %s::text[])::numeric")}
        WHEN 'string' THEN
            CASE WHEN length(e.data #>> %s::text[]) <= 80 AND e.data #>> %s::text[] ~ '{_NUMBER}'
                 THEN {_limited("(e.data #>> %s::text[])::numeric")} END
    END"""


def reason(meter: Meter) -> Fragment:
    """Why an event is invalid for the meter, as text; NULL for a valid one. Reads `c.value` too."""
    if meter.aggregation == Meter.Aggregation.COUNT:
        return Fragment("NULL::text")
    path = path_of(meter.value)
    sql = f"""CASE WHEN {counted(meter).valid} THEN NULL
                   WHEN coalesce(jsonb_typeof(e.data #> %s::text[]), 'null') = 'null' THEN %s
                   WHEN jsonb_typeof(e.data #> %s::text[]) IN ('object', 'array') THEN %s
                   ELSE %s END"""
    missing = f"The property {meter.value} is missing."
    compound = f"The property {meter.value} is not a single value."
    wrong = f"The property {meter.value} is not a number of at most 40 digits."
    return Fragment(sql, (path, missing, path, compound, wrong))


def dimension(path: str) -> Fragment:
    """A property as text, to group by."""
    return Fragment("e.data #>> %s::text[]", (path_of(path),))


def _filters(filters: dict[str, Any]) -> Fragment:
    """Conditions that each named property equals the value, or one of the values, as JSON (1.0 = 1, "1" is not 1)."""
    sql, values = "", []
    for path, wanted in filters.items():
        options = wanted if isinstance(wanted, list) else [wanted]
        sql += " AND e.data #> %s::text[] = ANY(%s::jsonb[])"
        values += [path_of(path), [json.dumps(option) for option in options]]
    return Fragment(sql, tuple(values))


def check_meter(*, event_type: str, aggregation: str, value: str, filters: Any, group_by: Any) -> None:
    """Raise MeterError, with a sentence per field, unless a meter so defined can count.

    For `Meter.clean` and forms: `raise ValidationError(error.problems)`.
    """
    problems: dict[str, str] = {}
    if not event_type.strip():
        problems["event_type"] = "Name the type of event that counts, e.g. inference."
    if aggregation not in Meter.Aggregation.values:
        problems["aggregation"] = f"{aggregation!r} is no aggregation; use {', '.join(Meter.Aggregation.values)}."
    elif aggregation == Meter.Aggregation.COUNT and value:
        problems["value"] = "A count reads no value: leave the value property empty, or choose another aggregation."
    elif aggregation != Meter.Aggregation.COUNT and not value:
        problems["value"] = "Name the property to read, e.g. tokens or usage.output; only a count needs none."
    if value and (why := path_problem(value)):
        problems.setdefault("value", why)
    if why := _filters_problem(filters):
        problems["filters"] = why
    if why := _group_by_problem(group_by):
        problems["group_by"] = why
    if problems:
        raise MeterError(problems)


def _filters_problem(filters: Any) -> str | None:
    """What is wrong with a meter's filters, if anything."""
    if not isinstance(filters, dict):
        return 'Filters are properties with their values, e.g. {"region": ["eu", "us"]}; {} lets every event count.'
    for path, wanted in filters.items():
        if why := path_problem(path):
            return why
        if wanted == []:
            return f"The filter on {path} lists no values, so that nothing would count; name one, or drop the filter."
        for option in wanted if isinstance(wanted, list) else [wanted]:
            if not isinstance(option, str | int | float | Decimal | bool):
                return f"The filter on {path} compares with {json.dumps(option)}; use texts, numbers, true or false."
            if isinstance(option, str) and "\0" in option:
                return f"The filter on {path} holds a NUL character, which no event can; leave it out."
    return None


def _group_by_problem(group_by: Any) -> str | None:
    """What is wrong with a meter's dimensions, if anything."""
    if not isinstance(group_by, list):
        return 'Dimensions are a list of properties, e.g. ["model"]; [] reports one total.'
    if len(group_by) > MAX_DIMENSIONS:
        return f"{len(group_by)} dimensions are named; at most {MAX_DIMENSIONS} are kept apart."
    for path in group_by:
        if why := path_problem(path):
            return why
    if len(set(group_by)) != len(group_by):
        return "A dimension is named twice; name each once."
    return None
