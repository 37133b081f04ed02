"""Questions about events that need customers or meters: claims, usage by day, and what counts for nobody.

Periods bound every question, because the event table has no end.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from django.db import connection

from billing.metering import listing, store
from billing.metering.asking import BEGINNING, Claim, Quantity, Request, StoredEvent
from billing.metering.models import Meter
from billing.metering.windows import Window, split
from billing.periods import Period
from customers.models import Customer, UsageSubject


@dataclass(frozen=True, slots=True)
class Unmatched:
    """Events that count for nobody: their subject or type, how many in the period, the first and the last."""

    name: str
    events: int
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class Invalid:
    """Events that a meter cannot read, by reason: how many, the first and the last."""

    reason: str
    events: int
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class UsageRow:
    """What a customer used of a meter: in a window that begins at `start` (None: the whole period), by dimensions."""

    customer_id: int
    meter_id: int
    start: datetime | None
    dimensions: tuple[str | None, ...]
    quantity: Quantity


def quantities(
    *,
    customer_ids: Iterable[int],
    meters: Sequence[Meter],
    period: Period,
    dimensions: Sequence[str] = (),
    window: Window | None = None,
    timezone: str = "UTC",
) -> list[UsageRow]:
    """What customers used in a period, exactly, everything committed included: by meter, customer, window, dimensions.

    `window` cuts the period in the calendar of `timezone`; `dimensions` are properties of the events, quickest where
    the meter groups by them. Quantities of windows or dimensions only add up for `count` and `sum` (R2.3). Rows
    without events are left out, unless a recurring meter carries something into them. One statement a meter.
    """
    claims = claims_of(customer_ids)
    periods = [(piece.start, piece) for piece in split(period, window, timezone)] if window else [(None, period)]
    asked = [(customer, start, piece) for customer in claims for start, piece in periods]
    requests = [
        Request(place, claims[customer], piece, timezone=timezone) for place, (customer, _, piece) in enumerate(asked)
    ]
    rows = []
    for meter in meters:
        for place, values, quantity in store.breakdown(meter, requests, dimensions):
            customer, start, _ = asked[place]
            rows.append(UsageRow(customer, meter.pk, start, values, quantity))
    return rows


def claims_of(customer_ids: Iterable[int]) -> dict[int, tuple[Claim, ...]]:
    """The subjects that each customer claims, and when; every id has an answer, () without claims. One query."""
    ids = list(customer_ids)
    found: dict[int, list[Claim]] = {customer: [] for customer in ids}
    rows = UsageSubject.objects.filter(customer__in=ids).order_by("subject", "valid_from")
    for customer, subject, start, end in rows.values_list("customer_id", "subject", "valid_from", "valid_to"):
        found[customer].append((subject, Period(start or BEGINNING, end)))
    return {customer: tuple(claims) for customer, claims in found.items()}


def request_for(customer: Customer, period: Period) -> Request:
    """What a customer used in a period, as a question to the store; its key is the customer's."""
    return Request(customer.pk, claims_of([customer.pk])[customer.pk], period)


def by_day(meter: Meter, customer: Customer, period: Period, timezone: str) -> list[tuple[date, Quantity]]:
    """What a customer used on each local day that has events."""
    return store.by_day(meter, request_for(customer, period), timezone)


def events_of(meter: Meter, customer: Customer, period: Period, limit: int = 100) -> list[StoredEvent]:
    """The latest of a customer's events that the meter sees, newest first."""
    return listing.events_of(meter, request_for(customer, period), limit=limit)


def usage_by_day(since: datetime, until: datetime, timezone: str = "UTC") -> list[tuple[date, int]]:
    """How many events happened on each local day of `[since, until)`, of all customers; days without are left out."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT (ts AT TIME ZONE %s)::date, count(*) FROM metering_event
               WHERE ts >= %s AND ts < %s GROUP BY 1 ORDER BY 1""",
            [timezone, since, until],
        )
        days: list[tuple[date, int]] = cursor.fetchall()
    return days


def unmatched_subjects(period: Period, limit: int = 100) -> list[Unmatched]:
    """Subjects with events at times when no customer claims them, most events first (R1.3)."""
    return _unmatched(
        "metering_subject", "subject_id", period, limit,
        """LEFT JOIN customers_usagesubject c ON c.subject = x.name
               AND (c.valid_from IS NULL OR c.valid_from <= e.ts) AND (c.valid_to IS NULL OR e.ts < c.valid_to)
           WHERE c.id IS NULL""",
    )  # fmt: skip


def unmatched_types(period: Period, limit: int = 100) -> list[Unmatched]:
    """Types of events that no meter counts, most events first (R1.3)."""
    return _unmatched(
        "metering_type", "type_id", period, limit,
        "WHERE NOT EXISTS (SELECT 1 FROM billing_meter m WHERE m.event_type = x.name)",
    )  # fmt: skip


def _unmatched(table: str, column: str, period: Period, limit: int, rest: str) -> list[Unmatched]:
    """Names of a kind whose events in the period satisfy `rest`."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT x.name, count(*), min(e.ts), max(e.ts)
                FROM (SELECT {column} AS name_id, ts FROM metering_event WHERE ts >= %s AND ts < %s) e
                JOIN {table} x ON x.id = e.name_id {rest}
                GROUP BY x.name ORDER BY count(*) DESC, x.name LIMIT %s""",
            [period.start, period.end or datetime.max.replace(tzinfo=UTC), limit],
        )
        return [Unmatched(*row) for row in cursor.fetchall()]


def invalid_for(meter: Meter, period: Period, customer: Customer | None = None) -> list[Invalid]:
    """Events of the meter's type, past its filters, that it cannot read a value from, by reason (R1.3).

    Of every subject, claimed or not, unless `customer` narrows it to what it claims.
    """
    request = request_for(customer, period) if customer else None
    return [Invalid(*row) for row in listing.invalid(meter, request, period)]
