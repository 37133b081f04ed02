"""What a correction would do, before it is made; and what corrections say of an event."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.db import connection, transaction

from billing.metering.corrections.criteria import Criteria
from billing.metering.corrections.selecting import require_months, selection
from billing.metering.models import Meter
from billing.metering.queries import quantities
from billing.periods import Period
from customers.models import Customer, UsageSubject

MAX_CUSTOMERS: Final = 50
"""Customers whose quantities a preview compares; it says how many there are."""

SAMPLE: Final = 20
_TICK: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Selected:
    """The events that criteria mean: how many, of which types and subjects, the first and the last."""

    events: int
    first: datetime | None
    last: datetime | None
    types: tuple[str, ...]
    subjects: tuple[str, ...]

    @property
    def period(self) -> Period | None:
        """The time from the first to the last."""
        return Period(self.first, self.last + _TICK) if self.first and self.last else None


@dataclass(frozen=True, slots=True)
class Effect:
    """A customer's quantity of a meter in a month (UTC) that would be another one."""

    customer: Customer
    meter: Meter
    month: datetime
    before: Decimal
    after: Decimal

    @property
    def change(self) -> Decimal:
        """What is added; negative for less."""
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class Said:
    """What a correction said of an event: whether it counts from then on."""

    correction_id: int
    kind: str
    reason: str
    by: str
    at: datetime
    counts: bool


def selected(criteria: Criteria) -> Selected:
    """What criteria mean, now."""
    found = selection(criteria)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""WITH meant AS (SELECT e.ts, e.type_id, e.subject_id {found.sql})
                SELECT count(*), min(ts), max(ts),
                       ARRAY(SELECT name FROM metering_type WHERE id IN (SELECT type_id FROM meant) ORDER BY 1),
                       ARRAY(SELECT name FROM metering_subject WHERE id IN (SELECT subject_id FROM meant) ORDER BY 1)
                FROM meant""",
            found.values,
        )
        events, first, last, types, subjects = cursor.fetchone()
    require_months(criteria)
    return Selected(events, first, last, tuple(types), tuple(subjects))


def sample(criteria: Criteria) -> list[dict[str, Any]]:
    """The newest of the events that criteria mean."""
    found = selection(criteria)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""WITH meant AS (SELECT e.* {found.sql} ORDER BY e.ts DESC LIMIT {SAMPLE})
                SELECT source.name, m.id, t.name, s.name, m.ts, m.data::text FROM meant m
                JOIN metering_source source ON source.id = m.source_id
                JOIN metering_type t ON t.id = m.type_id JOIN metering_subject s ON s.id = m.subject_id
                ORDER BY m.ts DESC""",
            found.values,
        )
        names = ("source", "id", "type", "subject", "time", "data")
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def customers_of(subjects: Sequence[str]) -> list[int]:
    """The customers that ever claimed any of these subjects."""
    claims = UsageSubject.objects.filter(subject__in=subjects).order_by("customer_id")
    return list(claims.values_list("customer_id", flat=True).distinct())


def effects(
    *, customer_ids: Sequence[int], types: Sequence[str], period: Period, act: Callable[[], object]
) -> list[Effect]:
    """Which monthly quantities `act` would change, of the first customers; it is done and taken back.

    `types` are the events' types that the act concerns, `period` their times. Nothing is stored.
    """
    shown = list(customer_ids)[:MAX_CUSTOMERS]
    meters = list(Meter.objects.filter(event_type__in=types, superseded_at=None).order_by("code"))
    months = _whole_months(period)
    before = _by_month(shown, meters, months)
    with transaction.atomic():
        act()
        after = _by_month(shown, meters, months)
        transaction.set_rollback(True)
    customers, by_id = Customer.objects.in_bulk(shown), {meter.pk: meter for meter in meters}
    return [
        Effect(customers[key[0]], by_id[key[1]], key[2], before.get(key, Decimal(0)), after.get(key, Decimal(0)))
        for key in sorted(before.keys() | after.keys())
        if before.get(key, Decimal(0)) != after.get(key, Decimal(0))
    ]


def _by_month(
    customer_ids: Sequence[int], meters: Sequence[Meter], period: Period
) -> dict[tuple[int, int, datetime], Decimal]:
    rows = quantities(customer_ids=customer_ids, meters=meters, period=period, window="month")
    return {(row.customer_id, row.meter_id, row.start or period.start): row.quantity.value for row in rows}


def _whole_months(period: Period) -> Period:
    """The months (UTC) that a period touches."""
    start = period.start.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    last = (period.until - _TICK).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return Period(start, (last + timedelta(days=32)).replace(day=1))


def said_of(batch: int, n: int) -> list[Said]:
    """What corrections said of an event, the latest last; empty when it counts as it came."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT c.id, c.kind, c.reason, coalesce(u.username, ''), c.created_at, e.counts
               FROM metering_corrected_event e JOIN billing_correction c ON c.id = e.correction_id
               LEFT JOIN auth_user u ON u.id = c.created_by_id
               WHERE e.batch = %s AND e.n = %s ORDER BY c.id""",
            [batch, n],
        )
        return [Said(*row) for row in cursor.fetchall()]
