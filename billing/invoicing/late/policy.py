"""How a seller, or a contract, has late usage, open drafts, zero and small invoices (R5.3, R5.4, R5.10).

Pure: no Django, no clock. `queries.py` fills these from the database.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final, Literal

from billing.periods import local_date, local_midnight, zone

Late = Literal["next", "apart"]
Zero = Literal["issue", "skip", "carry"]


@dataclass(frozen=True, slots=True)
class Grace:
    """How long usage of a cycle is waited for after its end: hours as clocks count them truly, days as calendars do."""

    amount: int
    unit: Literal["hours", "days"]

    def after(self, end: datetime, timezone: str) -> datetime:
        """When a cycle that ended at `end` need not be waited for any more; days are those of `timezone`."""
        if self.unit == "hours":
            return end + timedelta(hours=self.amount)
        local = end.astimezone(zone(timezone))
        midnight = local_midnight(local_date(end, timezone), timezone)
        day = local_midnight(local.date() + timedelta(days=self.amount), timezone)
        return day + (end - midnight)

    def __str__(self) -> str:
        return f"{self.amount} {self.unit[:-1] if self.amount == 1 else self.unit}"


@dataclass(frozen=True, slots=True)
class Policy:
    """What is said at one place; None where it says nothing. A threshold is in its own currency."""

    late: Late | None = None
    grace: Grace | None = None
    zero: Zero | None = None
    threshold: tuple[Decimal, str] | None = None

    def over(self, other: "Policy") -> "Policy":
        """This one, and what it does not say from another."""
        mine = {each.name: getattr(self, each.name) for each in fields(self)}
        return Policy(**{name: getattr(other, name) if said is None else said for name, said in mine.items()})

    def below(self, total: Decimal, currency: str) -> bool:
        """Whether an invoice of this total is too small to be sent."""
        return self.threshold is not None and self.threshold[1] == currency and 0 < total < self.threshold[0]


HOUSE: Final = Policy(late="next", grace=Grace(0, "hours"), zero="issue")
"""Where nobody says anything: differences on the next invoice, nothing waits, zero invoices are issued."""


def in_force(said: Iterable[tuple[date, Policy]], day: date) -> Policy:
    """What holds on a day of what was said from days on, in the order in which it was said: the last for each thing."""
    found = Policy()
    for since, policy in sorted(said, key=lambda each: each[0]):
        if since <= day:
            found = policy.over(found)
    return found
