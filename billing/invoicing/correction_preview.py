"""What a correction of usage would do: to how many events, to which quantities, to which invoices."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from billing.invoicing.consequences import Consequence, consequences
from billing.metering.corrections import services
from billing.metering.corrections.criteria import Changes, Criteria
from billing.metering.corrections.errors import NothingToCorrect
from billing.metering.corrections.queries import (
    MAX_CUSTOMERS,
    Effect,
    Selected,
    customers_of,
    effects,
    sample,
    selected,
)
from billing.periods import Period


@dataclass(frozen=True, slots=True)
class Preview:
    """The events that are meant, a sample of them, and the effects."""

    selected: Selected
    sample: list[dict[str, Any]]
    customers: int
    effects: list[Effect]
    consequences: list[Consequence]

    @property
    def compared(self) -> int:
        """How many customers were compared, of all that it concerns."""
        return min(self.customers, MAX_CUSTOMERS)


def preview(criteria: Criteria, changes: Changes | None, now: datetime) -> Preview:
    """Do it, look, and take it back: nothing is stored. NothingToCorrect when no event is meant."""
    found = selected(criteria)
    if found.period is None:
        raise NothingToCorrect

    def act() -> object:
        asked: dict[str, Any] = {"criteria": criteria, "reason": "preview", "user": None, "now": now}
        return services.replace(changes=changes, **asked) if changes else services.void(**asked)

    types, subjects, period = found.types, found.subjects, found.period
    if changes:
        types += (changes.type,) if changes.type else ()
        subjects += (changes.subject,) if changes.subject else ()
        if changes.time:
            period = Period(min(period.start, changes.time), max(period.until, changes.time))
    customers = customers_of(subjects)
    shown = customers[:MAX_CUSTOMERS]
    return Preview(
        selected=found,
        sample=sample(criteria),
        customers=len(customers),
        effects=effects(customer_ids=shown, types=types, period=period, act=act),
        consequences=consequences(customer_ids=shown, act=act, now=now),
    )
