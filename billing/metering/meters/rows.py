"""Filters and lists of properties as people write them in a form: a row each, values apart by commas.

A value that reads as a number, true or false is one; in double quotes it is a text, whatever it holds. Pure: no
Django, no database, no clock.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

CONDITIONS: Final = {
    "is": "is one of",
    "not": "is none of",
    "gte": "is at least",
    "gt": "is more than",
    "lte": "is at most",
    "lt": "is less than",
    "exists": "is there",
    "missing": "is missing",
}
"""The conditions of a row, and their words."""

_VALUE: Final = re.compile(r'\s*(?:("(?:[^"\\]|\\.)*")|([^,"][^,]*))\s*(,|$)')
_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?")


class RowError(ValueError):
    """A row that says nothing that could be kept; the message says the way out."""


@dataclass(frozen=True, slots=True)
class Row:
    """One condition on one property; `values` as typed."""

    name: str
    condition: str = "is"
    values: str = ""

    @property
    def is_blank(self) -> bool:
        """Whether nothing was filled in."""
        return not self.name.strip() and not self.values.strip()


def filters_of(rows: Iterable[Row]) -> dict[str, Any]:
    """The filters that rows say; blank ones say nothing. RowError."""
    filters: dict[str, Any] = {}
    for row in rows:
        if row.is_blank:
            continue
        name = row.name.strip()
        if not name:
            raise RowError(f"A filter on {row.values.strip()} names no property; name one, or empty the row.")
        before = filters.get(name, {})
        if row.condition == "is":
            if name in filters:
                raise RowError(f"“is one of” stands alone: give {name} one row.")
            filters[name] = _one_of(row)
        elif not isinstance(before, dict):
            raise RowError(f"“is one of” stands alone: give {name} one row.")
        else:
            key, value = _condition(row)
            if key in before:
                raise RowError(f"Two rows say of {name} what it {CONDITIONS[row.condition]}; write one.")
            filters[name] = before | {key: value}
    return filters


def rows_of(filters: dict[str, Any]) -> list[Row]:
    """The rows that say the filters."""
    rows = []
    for name, wanted in filters.items():
        conditions = wanted if isinstance(wanted, dict) else {"is": wanted}
        for key, value in conditions.items():
            if key == "exists":
                rows.append(Row(name, "exists" if value else "missing"))
            elif key in ("is", "not"):
                options = value if isinstance(value, list) else [value]
                rows.append(Row(name, key, listed(options)))
            else:
                rows.append(Row(name, key, str(value)))
    return rows


def values_of(text: str) -> list[Any]:
    """The values that a text lists, apart by commas: numbers, true, false, else texts. RowError."""
    values: list[Any] = []
    at = 0
    text = text.strip()
    while at < len(text):
        found = _VALUE.match(text, at)
        if found is None:
            raise RowError(f"{text[at:].strip()} is not understood: write values with commas between, texts in quotes.")
        quoted, bare, _ = found.groups()
        values.append(_unquoted(quoted) if quoted else _read(bare.strip()))
        at = found.end()
    return values


def listed(values: Iterable[Any]) -> str:
    """The text that lists the values."""
    return ", ".join(_written(value) for value in values)


def _condition(row: Row) -> tuple[str, Any]:
    """The condition of a row as filters have it."""
    match row.condition:
        case "exists" | "missing":
            return "exists", row.condition == "exists"
        case "not":
            return "not", _one_of(row)
        case "gt" | "gte" | "lt" | "lte":
            return row.condition, row.values.strip()
    raise RowError(f"{row.condition!r} is no condition; use {', '.join(CONDITIONS)}.")


def _one_of(row: Row) -> list[Any]:
    """The values of a row that needs some."""
    values = values_of(row.values)
    if not values:
        raise RowError(f"The filter on {row.name.strip()} lists no values; write some, such as eu, us.")
    return values


def _read(text: str) -> Any:
    """A bare value."""
    if text in ("true", "false"):
        return text == "true"
    if _NUMBER.fullmatch(text):
        return Decimal(text) if "." in text else int(text)
    return text


def _unquoted(text: str) -> str:
    """A text in double quotes, in which JSON's escapes hold."""
    try:
        return str(json.loads(text))
    except json.JSONDecodeError:
        raise RowError(f"{text} is not understood: write a backslash before each quote or backslash in it.") from None


def _written(value: Any) -> str:
    """A value such that it is read as the same again."""
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str):
        return f"{value:f}" if isinstance(value, Decimal) else str(value)
    plain = value and value == value.strip() and "," not in value and '"' not in value and _read(value) == value
    return value if plain else json.dumps(value, ensure_ascii=False)
