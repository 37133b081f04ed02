"""What a guard finds: a contract that must wait, why, and what a release would let pass."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

LABELS: Final = {
    "terms": "Terms cannot be read",
    "no_price": "No price in the currency",
    "cannot_rate": "A price cannot rate the usage",
    "month_detached": "Events lie in the archive",
    "overlap": "A stretch twice",
    "billed_already": "Billed already",
    "currency": "Another currency",
    "negative": "Negative without a cause",
    "credits_wait": "Credits wait for charges",
    "tax": "Tax cannot be told",
    "unreadable": "Unreadable usage",
    "uncounted": "Usage that nothing counts",
    "recount": "Rated and metered differ",
    "sibling": "Another contract is held",
}
"""What each check is called."""


@dataclass(frozen=True, slots=True)
class Held:
    """A check that a contract fails. It holds all contracts of the customer, unless it is its `own` affair alone."""

    contract_id: int
    code: str
    sentence: str
    detail: tuple[str, ...] = ()
    covers: dict[str, Any] = field(default_factory=dict)
    releasable: bool = False
    amount: Decimal | None = None
    own: bool = False
