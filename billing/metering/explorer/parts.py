"""What packages above metering add to its pages: they know of invoices, metering does not.

They put their functions here when the back office is built, as they register their pages there.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest

from billing.metering.explorer.events import Fate, Stored
from customers.models import Customer


@dataclass(frozen=True, slots=True)
class Card:
    """A card of a page: its heading, and the template that prints `content`."""

    title: str
    template: str
    content: dict[str, Any]


of_event: list[Callable[[HttpRequest, Stored, Fate], Card | None]] = []
"""Cards of an event's page; None where the user may not see it."""

of_claim: list[Callable[[HttpRequest, Customer, Callable[[], Any]], Card | None]] = []
"""Cards of a preview: what changes for a customer when the function given, which makes a claim, has been called.

Whoever calls these takes everything back.
"""
