"""A property of an event, as SQL: the number, the single value or the text that it holds.

The grammar of numbers is that of `properties.number_of`: JSON numbers and numeric strings of at most 40 digits before
and after the point; anything else is no number (R1.3).
"""

from collections.abc import Sequence
from typing import Final

from billing.metering.meters.fragments import Fragment, join

_PATTERN: Final = Fragment("%s", (r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?$",))
_FOUND: Final = Fragment("j")


def json_at(names: Sequence[str]) -> Fragment:
    """What stands at the end of the names, as jsonb; NULL where there is nothing."""
    return Fragment("e.data #> %s::text[]", (list(names),))


def kind_at(names: Sequence[str]) -> Fragment:
    """What kind of JSON stands there; 'null' also where there is nothing."""
    return join("coalesce(jsonb_typeof({}), 'null')", json_at(names))


def number_at(names: Sequence[str]) -> Fragment:
    """The number that stands at the end of the names; NULL for anything else."""
    return _read_once(names, number_in(_FOUND))


def number_in(json: Fragment) -> Fragment:
    """The number that a JSON value holds, which is written several times; NULL for anything else."""
    # CASE keeps what is no number, and a text of a million digits, from the casts.
    text = join("{} #>> '{{}}'", json)
    string = join("CASE WHEN length({}) <= 80 AND {} ~ {} THEN {} END", text, text, _PATTERN, _limited(text))
    return join("CASE jsonb_typeof({}) WHEN 'number' THEN {} WHEN 'string' THEN {} END", json, _limited(json), string)


def single_at(names: Sequence[str]) -> Fragment:
    """The text, truth value or number that stands there, as jsonb in which equal numbers are equal texts, too."""
    number = join("to_jsonb(trim_scale({}))", _limited(_FOUND))
    return _read_once(
        names, join("CASE jsonb_typeof(j) WHEN 'string' THEN j WHEN 'number' THEN {} WHEN 'boolean' THEN j END", number)
    )


def label_at(names: Sequence[str]) -> Fragment:
    """A property as text, to group by: 1.0 is 1, and what is no single value is NULL."""
    number = join("trim_scale({})::text", _limited(_FOUND))
    text = join("{} #>> '{{}}'", _FOUND)
    template = "CASE jsonb_typeof(j) WHEN 'string' THEN {} WHEN 'number' THEN {} WHEN 'boolean' THEN {} END"
    return _read_once(names, join(template, text, number, text))


def operation_at(names: Sequence[str]) -> Fragment:
    """Whether an event adds its value, which it does unless its operation says remove (R2.4); NULL for other words."""
    text = Fragment("e.data #>> %s::text[]", (list(names),))
    return join("CASE coalesce({}, 'add') WHEN 'add' THEN true WHEN 'remove' THEN false END", text)


def _read_once(names: Sequence[str], result: Fragment) -> Fragment:
    """What is made of the JSON at the end of the names, there called `j`: the way to it is gone once."""
    return join("(SELECT {} FROM (SELECT {} AS j OFFSET 0) p)", result, json_at(names))


def _limited(json: Fragment) -> Fragment:
    """The number that stands there; NULL when it has more than 40 digits before or after the point."""
    number = join("({})::numeric", json)
    return join("CASE WHEN abs({}) < 1e40 AND min_scale({}) <= 40 THEN {} END", number, number, number)
