"""Questions about usage that need customers: whose subjects are whose, and what they used.

Periods bound every question, because the event table has no end. MonthDetached when events of a detached month are
needed.
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import TypeVar

from django.db import connection

from billing.metering import names, store
from billing.metering.asking import BEGINNING, Claim, Known, Quantity, Request
from billing.metering.models import Meter
from billing.metering.windows import Window, split
from billing.periods import Period, local_date
from customers.knowledge import horizon, in_force
from customers.models import UsageSubject

Key = TypeVar("Key", bound=Hashable)


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
    together: bool = False,
) -> list[UsageRow]:
    """What customers used in a period, exactly, everything committed included: by meter, customer, window, dimensions.

    `window` cuts the period in the calendar of `timezone`; `dimensions` are properties of the events, quickest where
    the meter groups by them. Quantities of windows or dimensions only add up for `count` and `sum` (R2.3). Rows
    without events are left out, unless a recurring meter carries something into them. One statement a meter.

    `together` asks for all customers as if they were one, of id 0: quicker for thousands than to add up each.
    """
    claims = claims_of(customer_ids)
    if together:
        claims = {0: tuple(claim for each in claims.values() for claim in each)}
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
    rows = UsageSubject.objects.filter(customer__among=ids).order_by("subject", "valid_from")
    said = ("customer_id", "subject", "valid_from", "valid_to")
    told = rows.values_list(*said) if horizon() is None else map(attrgetter(*said), in_force(rows))
    for customer, subject, start, end in told:
        found[customer].append((subject, Period(start or BEGINNING, end)))
    return {customer: tuple(claims) for customer, claims in found.items()}


def known_now() -> Known:
    """What is known of usage in this statement's snapshot: what was rolled up, and what is pending."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT (SELECT coalesce(max(position), 0) FROM metering_batch),
                      (SELECT coalesce(array_agg(batch), '{}') FROM metering_pending)"""
        )
        position, pending = cursor.fetchone()
    return Known(position, frozenset(pending))


def told_after(known: Known, asked: Sequence[tuple[Key, tuple[Claim, ...], Period]]) -> set[Key]:
    """The keys of those stretches of which anything became known later: events, or corrections. One query.

    Days are looked at as a whole, and what is pending counts as later, so that it may name more than it must.
    """
    subjects = names.subjects.known({subject for _, claims, _ in asked for subject, _ in claims})
    rows = [
        (place, subjects[subject], local_date(within.start, "UTC"), within.end and local_date(within.end, "UTC"))
        for place, (_, claims, period) in enumerate(asked)
        for subject, claim in claims
        if subject in subjects and (within := claim.intersect(period))
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT DISTINCT r.place
               FROM unnest(%s::int[], %s::int[], %s::date[], %s::date[]) r(place, subject, lo, hi)
               WHERE EXISTS (SELECT 1 FROM metering_pending)
                  OR EXISTS (SELECT 1 FROM metering_activity a WHERE a.subject_id = r.subject AND a.position > %s
                             AND a.day >= r.lo AND (r.hi IS NULL OR a.day <= r.hi))""",
            [*(list(column) for column in zip(*rows, strict=True)), known.position] if rows else [[]] * 4 + [0],
        )
        return {asked[place][0] for (place,) in cursor.fetchall()}
