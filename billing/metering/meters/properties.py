"""A property of an event, as SQL: the number, the single value or the text that it holds.

The grammar of numbers is that of `properties.number_of`: JSON numbers and numeric strings of at most 40 digits before
and after the point; anything else is no number (R1.3).
"""

from collections.abc import Sequence
from typing import Final

from billing.metering.meters.fragments import Fragment, join

_PATTERN: Final = Fragment("%s", (r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?$",))


def json_at(names: Sequence[str]) -> Fragment:
    """What stands at the end of the names, as jsonb; NULL where there is nothing."""
    return Fragment("e.data #> %s::text[]", (list(names),))


def text_at(names: Sequence[str]) -> Fragment:
    """The same as text; NULL for JSON's null too."""
    return Fragment("e.data #>> %s::text[]", (list(names),))


def kind_at(names: Sequence[str]) -> Fragment:
    """What kind of JSON stands there; 'null' also where there is nothing."""
    return join("coalesce(jsonb_typeof({}), 'null')", json_at(names))


def number_at(names: Sequence[str]) -> Fragment:
    """The number that stands at the end of the names; NULL for anything else."""
    return number_in(json_at(names), text_at(names))


def number_in(json: Fragment, text: Fragment) -> Fragment:
    """The number that a JSON value holds; NULL for anything else."""
    # CASE keeps what is no number, and a text of a million digits, from the casts.
    string = join("CASE WHEN length({}) <= 80 AND {} ~ {} THEN {} END", text, text, _PATTERN, _limited(_cast(text)))
    return join(
        "CASE jsonb_typeof({}) WHEN 'number' THEN {} WHEN 'string' THEN {} END",
        json, _limited(_cast(json)), string,
    )  # fmt: skip


def single_at(names: Sequence[str]) -> Fragment:
    """The text, truth value or number that stands there, as jsonb in which equal numbers are equal texts, too."""
    json = json_at(names)
    return join(
        "CASE jsonb_typeof({}) WHEN 'number' THEN to_jsonb({}) WHEN 'string' THEN {} WHEN 'boolean' THEN {} END",
        json, join("trim_scale({})", _limited(_cast(json))), json, json,
    )  # fmt: skip


def label_at(names: Sequence[str]) -> Fragment:
    """A property as text, to group by: 1.0 is 1, and what is no single value is NULL."""
    json, text = json_at(names), text_at(names)
    return join(
        "CASE jsonb_typeof({}) WHEN 'number' THEN {}::text WHEN 'string' THEN {} WHEN 'boolean' THEN {} END",
        json, join("trim_scale({})", _limited(_cast(json))), text, text,
    )  # fmt: skip


def operation_at(names: Sequence[str]) -> Fragment:
    """Whether an event adds its value, which it does unless its operation says remove (R2.4); NULL for other words."""
    return join("CASE coalesce({}, 'add') WHEN 'add' THEN true WHEN 'remove' THEN false END", text_at(names))


def _cast(piece: Fragment) -> Fragment:
    """A piece as a number; an error for what is none."""
    return join("({})::numeric", piece)


def _limited(number: Fragment) -> Fragment:
    """The number, NULL when it has more than 40 digits before or after the point."""
    return join("CASE WHEN abs({}) < 1e40 AND min_scale({}) <= 40 THEN {} END", number, number, number)
