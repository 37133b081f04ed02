"""Which subscriptions a move is for, as it was asked and as it is kept. Pure: no Django, no clock."""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Literal

from billing.moves.errors import CriteriaError
from billing.moves.timing import KINDS, When

OwnTerms = Literal["keep", "end", "leave_out"]
OWN_TERMS: dict[OwnTerms, str] = {
    "keep": "Move them; their own terms stay on top",
    "end": "Move them; their own terms end at the move",
    "leave_out": "Leave them out",
}
LISTED = 50_000
"""Ids that a list may have."""


@dataclass(frozen=True, slots=True)
class Criteria:
    """Who is meant: bound now, or first, to one of `versions`, and meeting everything else that is given.

    `only` and `without` are customers' ids as people know them; `started_before` is exclusive.
    """

    versions: tuple[int, ...]
    when: When
    currency: str = ""
    entity: int | None = None
    countries: tuple[str, ...] = ()
    started_from: date | None = None
    started_before: date | None = None
    only: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    own_terms: OwnTerms = "keep"

    def __post_init__(self) -> None:
        if not self.versions:
            raise CriteriaError("versions", "Choose the versions whose subscribers are to be moved.")
        if self.started_from and self.started_before and self.started_from >= self.started_before:
            raise CriteriaError("started_before", "No contract starts on or after the one day and before the other.")

    def to_json(self) -> dict[str, Any]:
        """As it is kept with the move; `from_json` reads it."""
        found = asdict(self)
        found["when"] = {"kind": self.when.kind, "day": _text(self.when.day)}
        return found | {name: _text(found[name]) for name in ("started_from", "started_before")}

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> "Criteria":
        """What `to_json` wrote."""
        fields = dict(kept)
        when = fields.pop("when")
        for name in ("versions", "countries", "only", "without"):
            fields[name] = tuple(fields[name])
        for name in ("started_from", "started_before"):
            fields[name] = _day(fields[name])
        return cls(when=When(when["kind"], _day(when["day"])), **fields)


def read_when(kind: str, day: date | None) -> When:
    """The time of a move as a form has it; CriteriaError."""
    if kind not in KINDS:
        raise CriteriaError("when", f"“{kind}” is no time for a move; choose {', '.join(KINDS)}.")
    if kind == "date" and day is None:
        raise CriteriaError("day", "Choose the day on which they move.")
    return When(kind, day)


def read_ids(text: str, field: str) -> tuple[str, ...]:
    """Customers' ids as typed or pasted: one a line, or apart by commas, semicolons or blanks; each once, in order."""
    found = tuple(dict.fromkeys(part for part in re.split(r"[\s,;]+", text.replace("\0", "")) if part))
    if len(found) > LISTED:
        raise CriteriaError(field, f"A list has at most {LISTED:,} ids, not {len(found):,}: make several moves.")
    return found


def in_words(criteria: Criteria, names: Sequence[str], entity: str = "") -> list[tuple[str, str]]:
    """The choice as people say it, as pairs of label and text; `names` are the versions', `entity` the seller's."""
    rows = [("From", ", ".join(names)), ("When", when_in_words(criteria.when))]
    rows += [("Currency", criteria.currency)] if criteria.currency else []
    rows += [("Legal entity", entity)] if entity else []
    rows += [("Country", ", ".join(criteria.countries))] if criteria.countries else []
    if criteria.started_from:
        rows.append(("Contract started", f"on {criteria.started_from} or later"))
    if criteria.started_before:
        rows.append(("Contract started", f"before {criteria.started_before}"))
    rows += [("Only these customers", _listed(criteria.only))] if criteria.only else []
    rows += [("Without", _listed(criteria.without))] if criteria.without else []
    return [*rows, ("Customers with own terms", OWN_TERMS[criteria.own_terms])]


def when_in_words(when: When) -> str:
    """“On 2024-03-01”, “At each contract’s next renewal, not before 2024-03-01”."""
    if when.kind == "date":
        return f"On {when.day}"
    what = "renewal" if when.kind == "renewal" else "billing period"
    return f"At each contract’s next {what}" + (f", not before {when.day}" if when.day else "")


def _listed(ids: Sequence[str]) -> str:
    return ", ".join(ids[:5]) + (f" and {len(ids) - 5:,} more" if len(ids) > 5 else "")


def _text(day: date | None) -> str | None:
    return day.isoformat() if day else None


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None
