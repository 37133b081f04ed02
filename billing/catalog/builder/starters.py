"""Plans to start from: files beside this module with meters, custom units, a plan as in docs/formats.md, and examples.

A test reads every file and rates every example.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from billing.catalog.plan_values import PlanFile, read_plan
from billing.metering.models import Meter

FOLDER: Final = Path(__file__).with_name("ready_made")
_ORDER: Final = ("api-calls", "model-tokens", "seats", "storage", "credits", "hybrid")
_COUNTS: Final = ("aggregation", "value", "operation", "recurring", "prorate", "rounding", "filters", "event_type")


@dataclass(frozen=True, slots=True)
class UnitNeeded:
    """A custom unit, and what one of it is worth in each currency at the start."""

    code: str
    name: str
    places: int
    rates: dict[str, str]


@dataclass(frozen=True, slots=True)
class Starter:
    """A plan to start from: `meters` are unsaved, `plan` names them by their codes, `examples` say what it bills."""

    code: str
    title: str
    sentence: str
    picture: str
    meters: tuple[Meter, ...]
    units: tuple[UnitNeeded, ...]
    plan: PlanFile
    examples: tuple[dict[str, Any], ...]


@cache
def starters() -> tuple[Starter, ...]:
    """All of them, the plainest first."""
    return tuple(_read(FOLDER / f"{code}.json") for code in _ORDER)


def starter(code: str) -> Starter | None:
    """The one of this code."""
    return next((each for each in starters() if each.code == code), None)


def _read(path: Path) -> Starter:
    given = json.loads(path.read_text())
    return Starter(
        code=path.stem, title=given["title"], sentence=given["sentence"], picture=given["picture"],
        meters=tuple(_meter(**row) for row in given["meters"]),
        units=tuple(UnitNeeded(**row) for row in given.get("units", ())),
        plan=read_plan(given["plan"]), examples=tuple(given["examples"]),
    )  # fmt: skip


def _meter(definition: dict[str, Any], **fields: Any) -> Meter:
    return Meter(**fields, **definition)


def counts_the_same(one: Meter, other: Meter) -> bool:
    """Whether two meters count alike, and `one` has the dimensions that `other` is priced by."""
    alike = all(getattr(one, name) == getattr(other, name) for name in _COUNTS)
    return alike and set(other.group_by) <= set(one.group_by)
