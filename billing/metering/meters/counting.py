"""What a meter counts of an event, as SQL: its filters, its value, and why the event is invalid for it.

A statement has `metering_event e` and the values as
`CROSS JOIN LATERAL (SELECT {value} AS value, {adds} AS adds OFFSET 0) c`, so that each is computed once.
"""

from dataclasses import dataclass
from typing import Final

from billing.metering.definitions import MeterDefinition
from billing.metering.expressions import Node, Property
from billing.metering.meters.compiling import Compiler
from billing.metering.meters.filtering import conditions
from billing.metering.meters.fragments import Fragment, join
from billing.metering.meters.properties import json_at, label_at, number_at, operation_at, single_at
from billing.metering.meters.reasons import why_no_number, why_not_single
from billing.metering.models import Meter
from billing.metering.properties import path_of

_TRUE: Final = Fragment("true")


@dataclass(frozen=True, slots=True)
class Counted:
    """How a meter counts: conditions beginning with AND, an event's value, whether it adds it, and what is `valid`.

    `value` is numeric (jsonb for a unique_count) and NULL where the event is invalid; `adds` is a boolean, NULL where
    the operation is neither add nor remove; `valid` is a condition on `c.value` and `c.adds`, true or false.
    """

    filters: Fragment
    value: Fragment
    adds: Fragment
    valid: str


def counted(meter: Meter) -> Counted:
    """The SQL of what the meter reads from one event."""
    definition = meter.definition()
    filters, adds, valid = conditions(definition.filters), _TRUE, "c.value IS NOT NULL"
    if definition.value is None:
        return Counted(filters, Fragment("NULL::numeric"), adds, "true")
    if definition.operation:
        adds, valid = operation_at(path_of(definition.operation)), f"({valid} AND c.adds IS NOT NULL)"
    return Counted(filters, _value(definition, definition.value), adds, valid)


def reason(meter: Meter) -> Fragment:
    """Why an event is invalid for the meter, as text; NULL for a valid one. Reads `c.value` and `c.adds` too."""
    definition = meter.definition()
    if definition.value is None:
        return Fragment("NULL::text")
    value = definition.value
    wrong = why_not_single(value, json_at(value.names)) if isinstance(value, Property) else why_no_number(value)
    sentence = f"The property {definition.operation} is neither add nor remove."
    return join(
        "CASE WHEN c.value IS NULL THEN {} WHEN c.adds IS NULL THEN {} END", wrong, Fragment("%s::text", (sentence,))
    )


def dimension(path: str) -> Fragment:
    """A property as text, to group by: a number without needless zeros; NULL where there is no single value."""
    return label_at(path_of(path))


def _value(definition: MeterDefinition, value: Node) -> Fragment:
    """A number, or any single value where distinct ones are counted."""
    distinct = definition.aggregation == "unique_count"
    if isinstance(value, Property):
        return single_at(value.names) if distinct else number_at(value.names)
    number = Compiler().value(value)
    return join("to_jsonb(trim_scale({}))", number) if distinct else number
