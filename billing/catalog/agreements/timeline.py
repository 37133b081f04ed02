"""Who did what to dated facts of agreements, for the pages that show them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Protocol

from django.contrib.auth.models import AbstractBaseUser


class Row(Protocol):
    """A fact as a table shows it, with its days in the contract's zone."""

    @property
    def fact(self) -> Any:
        """The row of the database."""

    @property
    def what(self) -> str:
        """What it is."""

    @property
    def words(self) -> str:
        """What it says."""

    @property
    def start(self) -> date:
        """The first day."""

    @property
    def end(self) -> date | None:
        """The day after the last one; None while it is open."""


@dataclass(frozen=True)
class Happened:
    """One thing that somebody did."""

    at: datetime
    who: AbstractBaseUser | None
    what: str
    row: Row
    why: str


def _agreed(row: Row) -> str:
    return "Agreed"


def timeline(rows: Sequence[Row], began: Callable[[Any], str] = _agreed) -> list[Happened]:
    """Who did what, the latest first; `began` says how a row came about."""
    replaced = {(type(row.fact), row.fact.replaces_id) for row in rows}
    found = []
    for row in rows:
        fact = row.fact
        what = "Changed the end of" if fact.replaces_id else began(row)
        found.append(Happened(fact.recorded_at, fact.recorded_by, what, row, fact.reason))
        if fact.superseded_at and (type(fact), fact.pk) not in replaced:
            found.append(Happened(fact.superseded_at, fact.superseded_by, "Undid", row, fact.superseded_reason))
    return sorted(found, key=lambda each: (each.at, each.row.fact.pk, each.what == "Undid"), reverse=True)
