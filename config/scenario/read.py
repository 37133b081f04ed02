"""A file's text as a scenario: JSON with exact numbers, read strictly, every reference found."""

import json
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.apps import apps

from config.scenario.errors import ScenarioError
from config.scenario.format import FILE
from config.scenario.reading import Problem, Reading

_KNOWN = {
    "plan": ("billing.Plan", "code"), "meter": ("billing.Meter", "code"), "unit": ("billing.CustomUnit", "code"),
}  # fmt: skip
"""What a file may take from the database: a plan can be checked before anybody is on it."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A file that can be run; `said` has what it says, by key."""

    file: str
    name: str
    said: dict[str, Any]


def read(text: str, file: str) -> Scenario:
    """Read a file; ScenarioError with every problem that it has."""
    try:
        value = json.loads(text, parse_float=Decimal, parse_constant=_no_number, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        raise _unreadable(f"line {error.lineno}, column {error.colno}", f"This is not JSON: {error.msg}.") from None
    except RecursionError:
        raise _unreadable("$", "This is nested too deep to be read.") from None
    reading = Reading(outside=_in_database)
    if isinstance(value, dict) and "entities" not in value:
        reading.names["entity"] = ["seller"]
    said = FILE.read(value, "$", reading)
    if reading.problems or said is None:
        raise ScenarioError(reading.problems)
    return Scenario(file, said.get("name") or Path(file).stem, said)


def _in_database(kind: str, name: str) -> bool:
    """Whether the database has a thing that a file may name without making it."""
    if kind not in _KNOWN:
        return False
    model, field = _KNOWN[kind]
    return bool(apps.get_model(model)._default_manager.filter(**{field: name}).exists())


def _no_number(text: str) -> Any:
    raise _unreadable("$", f"{text} is no number of JSON; write a text, or leave it out.")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _unreadable(key, "This key stands twice in one object; keep one.")
        found[key] = value
    return found


def _unreadable(path: str, message: str) -> ScenarioError:
    return ScenarioError([Problem(path, message)])
