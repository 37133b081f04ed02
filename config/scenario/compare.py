"""Expected against actual: every list whole and in order, every object in the keys that are named."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from config.scenario.shapes import Partly

_ONE: Final = {
    "invoices": "invoice", "lines": "line", "journal": "entry", "steps": "step", "outcomes": "outcome",
    "cells": "cell", "charges": "charge", "moved": "subscription", "accounts": "account", "recognised": "month",
    "refused": "event", "months": "month",
}  # fmt: skip
_KNOWN_BY: Final = ("number", "contract", "charge", "name", "subscription", "account", "label", "memo", "month")


@dataclass(frozen=True, slots=True)
class Difference:
    """Where what came out is not what was expected; `where` is in words."""

    where: str
    expected: str
    actual: str

    def __str__(self) -> str:
        return f"{self.where}: expected {self.expected}, is {self.actual}"

    def to_json(self) -> dict[str, str]:
        """For other programs."""
        return {"where": self.where, "expected": self.expected, "actual": self.actual}


def differences(expected: Any, actual: Any, where: str = "", key: str = "") -> Iterator[Difference]:
    """What differs, in order."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        for name, each in expected.items():
            yield from differences(each, actual.get(name), _join(where, "" if name in _ONE else name), name)
    elif isinstance(expected, list) and isinstance(actual, list):
        yield from _lists(expected, actual, where, key)
    elif not _equal(expected, actual):
        yield Difference(where or key, said(expected), said(actual))


def _lists(expected: list[Any], actual: list[Any], where: str, key: str) -> Iterator[Difference]:
    one = _ONE.get(key, key or "one")
    if len(expected) != len(actual):
        names = "; ".join(_summary(each) for each in actual) or "none"
        yield Difference(_join(where, f"number of {key or 'values'}"), str(len(expected)), f"{len(actual)}: {names}")
        return
    for place, (wanted, found) in enumerate(zip(expected, actual, strict=True), 1):
        yield from differences(wanted, found, _join(where, f"{one} {place}{_label(found)}"))


def _label(found: Any) -> str:
    if isinstance(found, dict):
        for name in _KNOWN_BY:
            if found.get(name):
                return f" ({found[name]})"
    return ""


def _summary(found: Any) -> str:
    if not isinstance(found, dict):
        return said(found)
    words = [str(found[name]) for name in (*_KNOWN_BY, "state", "event", "total", "amount", "code") if found.get(name)]
    return " ".join(dict.fromkeys(words))


def _join(where: str, part: str) -> str:
    return ", ".join(filter(None, (where, part)))


def _equal(expected: Any, actual: Any) -> bool:
    if isinstance(expected, Partly):
        return isinstance(actual, str) and expected in actual
    if isinstance(expected, Decimal) and isinstance(actual, str | int) and not isinstance(actual, bool):
        try:
            return Decimal(actual) == expected
        except InvalidOperation:
            return False
    if isinstance(expected, datetime):
        return isinstance(actual, str) and len(actual) > len("2026-01-31") and _instant(actual) == expected
    if isinstance(expected, date):
        return bool(actual == expected.isoformat())
    return bool(expected == actual)


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def said(value: Any) -> str:
    """A value as a difference says it."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "yes" if value else "no"
        case Partly():
            return f"“…{value}…”"
        case str():
            return value if value.replace(".", "", 1).lstrip("-").isdigit() else f"“{value}”"
        case Decimal():
            return f"{value:f}"
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case date():
            return value.isoformat()
        case dict() | list():
            return str(value) if value else "none"
    return str(value)
