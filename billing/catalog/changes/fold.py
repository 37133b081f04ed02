"""What a subscription binds over time, from all changes of it that stand: in order of effect, not of recording (R4.4).

Pure: no Django, no clock.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from itertools import groupby
from typing import Any, Final

from billing.catalog.changes.options import DEFAULT, Options, read_options, together


@dataclass(frozen=True, slots=True)
class Change:
    """A fact: from `at` on another version, another quantity, a begin (`runs`) or an end of it; None is untouched.

    `number` grows with the order of recording.
    """

    number: int
    at: datetime
    version: int | None = None
    quantity: Decimal | None = None
    runs: bool | None = None
    options: Options = DEFAULT


@dataclass(frozen=True, slots=True)
class Anchor:
    """Where cycles were moved to: by which option, at which instant."""

    kind: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Bound:
    """What holds over `[start, end)`, how the changes at its bounds took effect, and where its cycles were moved to."""

    version: int
    quantity: Decimal
    start: datetime
    end: datetime | None
    begun: Options = DEFAULT
    ended: Options = DEFAULT
    anchor: Anchor | None = None

    def options_json(self) -> dict[str, Any]:
        """All but what is bound and when, as a row keeps it; what is not said is left out."""
        anchor = {"kind": self.anchor.kind, "at": self.anchor.at.isoformat()} if self.anchor else {}
        said = {"begun": self.begun.to_json(), "ended": self.ended.to_json(), "anchor": anchor}
        return {name: value for name, value in said.items() if value}


def read_row_options(given: dict[str, Any]) -> tuple[Options, Options, Anchor | None]:
    """`begun`, `ended` and `anchor` from what `options_json` wrote."""
    if not given:
        return DEFAULT, DEFAULT, None
    anchor = given.get("anchor")
    moved = Anchor(anchor["kind"], datetime.fromisoformat(anchor["at"])) if anchor else None
    return read_options(given.get("begun", {})), read_options(given.get("ended", {})), moved


FIELDS: Final = ("version", "quantity", "runs")


def standing(changes: Iterable[Change]) -> list[tuple[Change, list[Change]]]:
    """For each instant, in order: what all changes at it set together, and those of them that set anything of it.

    They combine where they set different things; of two that set the same, the one recorded later holds.
    """
    found = []
    for at, group in groupby(sorted(changes, key=lambda each: (each.at, each.number)), key=lambda each: each.at):
        rows = list(group)
        setters = {
            name: last for name in FIELDS
            if (last := next((row for row in reversed(rows) if getattr(row, name) is not None), None))
        }  # fmt: skip
        held = [row for row in rows if row in setters.values()]
        said = {name: getattr(row, name) for name, row in setters.items()}
        found.append((Change(held[-1].number, at, options=together(row.options for row in held), **said), held))
    return found


def fold(changes: Iterable[Change]) -> list[Bound]:
    """What is bound from when to when; each change cuts, also where it changes nothing. Empty without a begin."""
    found: list[Bound] = []
    version: int | None = None
    quantity = Decimal(1)
    runs = False
    anchor: Anchor | None = None
    for change, _ in standing(changes):
        if runs:
            found[-1] = replace(found[-1], end=change.at)
        version = change.version if change.version is not None else version
        quantity = change.quantity if change.quantity is not None else quantity
        if change.options.anchor in ("change", "calendar"):
            anchor = Anchor(change.options.anchor, change.at)
        if runs and change.runs is False:
            found[-1] = replace(found[-1], ended=change.options)
        runs = runs if change.runs is None else change.runs
        if runs and version is not None:
            found.append(Bound(version, quantity, change.at, None, change.options, anchor=anchor))
    return found


def in_force(bound: Iterable[Bound], at: datetime) -> Bound | None:
    """What holds at an instant."""
    return next((each for each in bound if each.start <= at and (each.end is None or at < each.end)), None)
