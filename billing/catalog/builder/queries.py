"""A real customer's usage, for a worked example: read as a billing run reads it."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Final, Literal

from billing.catalog.builder.trial import Worked
from billing.metering.asking import Request
from billing.metering.interface import events
from billing.metering.models import Meter
from billing.metering.queries import UsageRow, claims_of, quantities
from billing.metering.windows import split
from billing.periods import Period, local_midnight, zone
from billing.pricing.usages import Cells, Events, EventUse, Need, Usage
from billing.pricing.words import Words
from customers.models import Customer

MOST_EVENTS: Final = 20_000
"""How many events a page rates one by one."""


def month_of(text: str, timezone: str) -> Period:
    """A calendar month (“2023-11”) in a time zone; ValueError with a sentence for what is none."""
    try:
        first = date.fromisoformat(f"{text}-01")
        after = date(first.year + first.month // 12, first.month % 12 + 1, 1)
        return Period(local_midnight(first, timezone), local_midnight(after, timezone))
    except (ValueError, OverflowError):
        raise ValueError(f"“{text}” is no month: write it like 2023-11.") from None


def worked(customer: Customer, meter: Meter, month: str, need: Need, window: str) -> Worked:
    """What the customer used of the meter in a month, as a price takes it; by hour or day where `window` says so.

    A constant number of queries. ValueError with a sentence where it is too much for a page.
    """
    period = month_of(month, customer.timezone)
    whole = _rows(customer, meter, period, (), None)
    total = whole[0].quantity.value if whole else Decimal(0)
    said = f"{customer} in {month}: {Words('USD', meter.unit).metered(Fraction(total))}"
    if need.kind in ("events", "totals"):
        if (found := whole[0].quantity.events if whole else 0) > MOST_EVENTS:
            raise ValueError(f"{customer} sent {found:,} events in {month}, too many for a page.")
        return Worked(f"{said} in {found:,} events", (("", _events(customer, meter, period, need)),))
    if window not in ("hour", "day"):
        cells = _rows(customer, meter, period, need.dimensions, None) if need.kind == "cells" else whole
        return Worked(said, (("", _usage(cells, need)),), max(Fraction(total), Fraction(0)))
    return Worked(said, tuple(_windows(customer, meter, period, need, "hour" if window == "hour" else "day")))


def _rows(
    customer: Customer, meter: Meter, period: Period, dimensions: Sequence[str], window: Literal["hour", "day"] | None
) -> list[UsageRow]:
    return quantities(
        customer_ids=[customer.pk], meters=[meter], period=period, dimensions=dimensions, window=window,
        timezone=customer.timezone,
    )  # fmt: skip


def _usage(rows: Sequence[UsageRow], need: Need) -> Usage:
    if need.kind == "cells":
        return Cells(need.dimensions, tuple((row.dimensions, row.quantity.value) for row in rows))
    return rows[0].quantity.value if rows else Decimal(0)


def _windows(
    customer: Customer, meter: Meter, period: Period, need: Need, window: Literal["hour", "day"]
) -> list[tuple[str, Usage]]:
    """The usage of each hour or day, those without any too: a minimum or a flat amount counts in them."""
    found: dict[object, list[UsageRow]] = {}
    for row in _rows(customer, meter, period, need.dimensions, window):
        found.setdefault(row.start, []).append(row)
    words, local, shape = (
        Words("USD", meter.unit),
        zone(customer.timezone),
        "%Y-%m-%d %H:%M" if window == "hour" else "%Y-%m-%d",
    )
    parts = []
    for piece in split(period, window, customer.timezone):
        rows = found.get(piece.start, [])
        used = words.metered(sum((Fraction(row.quantity.value) for row in rows), Fraction(0)))
        parts.append((f"{piece.start.astimezone(local):{shape}}: {used}", _usage(rows, need)))
    return parts


def _events(customer: Customer, meter: Meter, period: Period, need: Need) -> Usage:
    """The events one by one, in order of time."""
    request = Request(0, claims_of([customer.pk])[customer.pk], period, timezone=customer.timezone)
    rows = events.values(meter, [request], need.dimensions)
    return Events(tuple(EventUse(value, tuple(zip(need.dimensions, values, strict=True))) for _, values, value in rows))
