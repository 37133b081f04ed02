"""What is asked of the store, and what it answers. Pure: no Django, no database, no clock."""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from billing.periods import Period

BEGINNING: Final = datetime(1, 1, 1, tzinfo=UTC)
"""The start of a claim since ever."""

Claim = tuple[str, Period]
"""A subject, as events carry it, and the time in which it is claimed."""


@dataclass(frozen=True, slots=True)
class Known:
    """What was known of usage: every batch up to a position, and those that were pending then.

    The order in which usage became known is that of positions, never of times (docs/architecture.md, Usage).
    """

    position: int
    pending: frozenset[int] = frozenset()

    def includes(self, batch: int, position: int | None) -> bool:
        """Whether a batch of this number and position (None: pending to this day) was among it."""
        return batch in self.pending or (position is not None and position <= self.position)


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked: the events of these claims within the period. `key` names the answer.

    `full` is the aligned period that `period` is a part of (itself when None), by which weighted sums and prorated
    quantities are divided (R2.1, R2.4); days of presence are those of `timezone`. Claims may reach beyond the period;
    they are cut to it. Claims on the same subject must not overlap, else its events count twice (the database keeps
    customers' claims apart).
    """

    key: int
    claims: tuple[Claim, ...]
    period: Period
    full: Period | None = None
    timezone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Quantity:
    """What a meter counted: its value, from how many events, and how many were invalid for it (R1.3)."""

    value: Decimal = Decimal(0)
    events: int = 0
    invalid: int = 0


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as it is kept; `value` is what a meter reads from it, None for a count or where it is invalid."""

    source: str
    id: str
    subject: str
    time: datetime
    data: dict[str, Any]
    recorded_at: datetime
    value: Decimal | str | None
    problem: str


@dataclass(frozen=True, slots=True)
class CountedEvent:
    """An event that a meter counted: `value` is what it read from it, None for a count; `values` are of dimensions."""

    source: str
    id: str
    subject: str
    time: datetime
    value: Decimal | str | None
    values: tuple[str | None, ...] = ()
