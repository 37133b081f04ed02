"""The small interface behind which events are kept (docs/architecture.md, Usage).

Whoever is outside `billing.metering` uses `events`, and does not know what stands behind it. Customers, time zones of
contracts and claims are resolved by the caller; keys that make an id count once stay in PostgreSQL whatever the store;
so do corrections, months in the archive and the inbox, which are no part of it.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final, Protocol

from billing.metering import postgres
from billing.metering.append import Appended, Rows
from billing.metering.asking import CountedEvent, Quantity, Request, StoredEvent
from billing.metering.models import Meter


class EventStore(Protocol):
    """What a store of events does. Quantities are exact decimals, and hold every committed event at once."""

    def append(
        self, rows: Rows, *, origin: str, key_id: int | None, now: datetime, backfill_id: int | None = None
    ) -> Appended:
        """Store each row whose key is new, in one transaction; durable once that is committed."""
        ...

    def quantities(self, meter: Meter, requests: Sequence[Request]) -> dict[int, Quantity]:
        """The meter's quantity for each request, by key (R2.1). MonthDetached rather than a wrong zero."""
        ...

    def breakdown(
        self, meter: Meter, requests: Sequence[Request], dimensions: Sequence[str]
    ) -> list[tuple[int, tuple[str | None, ...], Quantity]]:
        """The quantities by values of dimensions."""
        ...

    def values(
        self, meter: Meter, requests: Sequence[Request], dimensions: Sequence[str]
    ) -> list[tuple[int, tuple[str | None, ...], Decimal]]:
        """What the meter reads from each event that counts, with values of dimensions, in order of time."""
        ...

    def events_of(self, meter: Meter, request: Request, *, limit: int = 100) -> list[StoredEvent]:
        """The latest events that the meter sees."""
        ...

    def newest(self, meter: Meter, request: Request, dimensions: Sequence[str], *, limit: int) -> list[CountedEvent]:
        """The latest events that the meter counts, as far as it is to know of them."""
        ...

    def in_order(self, meter: Meter, request: Request, dimensions: Sequence[str]) -> Iterator[CountedEvent]:
        """All of them in order of time, read in pieces."""
        ...


events: Final[EventStore] = postgres
"""The store in use: the type checker holds it to the interface here."""
