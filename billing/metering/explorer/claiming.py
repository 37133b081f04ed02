"""What a claim on a subject would do, before it is made: which events start to count, and which quantities change."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from django.db import connection

from billing.metering.corrections.queries import Effect, effects
from billing.metering.explorer.judging import NOT_VOIDED
from billing.periods import Period
from customers.models import Customer
from customers.services import claim_subject


@dataclass(frozen=True, slots=True)
class Gained:
    """Events that start to count: of which types, how many, the first and the last."""

    types: tuple[str, ...]
    events: int
    first: datetime | None
    last: datetime | None

    @property
    def period(self) -> Period | None:
        """The time from the first to the last."""
        return Period(self.first, self.last + timedelta(microseconds=1)) if self.first and self.last else None


@dataclass(frozen=True, slots=True)
class Preview:
    """What would change: the events, and each meter's quantity of the customer by month (UTC)."""

    gained: Gained
    effects: list[Effect]


def since(day: date | None) -> datetime | None:
    """The start of a day in UTC, from which a claim holds; None: since ever."""
    return datetime.combine(day, time(), UTC) if day else None


def claim(*, customer: Customer, subject: str, valid_from: date | None) -> Callable[[], object]:
    """The act of claiming, to be done or tried."""
    return lambda: claim_subject(customer=customer, subject=subject, valid_from=since(valid_from))


def preview(*, customer: Customer, subject: str, valid_from: date | None) -> Preview:
    """Do it, look, and take it back: nothing is stored. SubjectTaken when another claim stands against it."""
    gained = gained_by(subject, valid_from)
    act = claim(customer=customer, subject=subject, valid_from=valid_from)
    period = gained.period or Period(datetime(2000, 1, 1, tzinfo=UTC), datetime(2000, 1, 2, tzinfo=UTC))
    return Preview(gained, effects(customer_ids=[customer.pk], types=gained.types, period=period, act=act))


def gained_by(subject: str, valid_from: date | None) -> Gained:
    """The subject's events since a day (UTC): from the days that are counted already, and what is pending."""
    statement = f"""
        WITH s AS (SELECT id FROM metering_subject WHERE name = %(subject)s), days AS (
            SELECT type_id, n, first_ts, last_ts FROM metering_activity
            WHERE subject_id = (SELECT id FROM s) AND day >= %(day)s AND n > 0
            UNION ALL
            SELECT e.type_id, count(*), min(e.ts), max(e.ts) FROM metering_event e
            WHERE e.subject_id = (SELECT id FROM s) AND e.ts >= %(since)s
              AND e.ts >= (SELECT min(hour) FROM metering_pending, unnest(hours) AS hour)
              AND e.batch IN (SELECT batch FROM metering_pending) AND {NOT_VOIDED}
            GROUP BY e.type_id)
        SELECT coalesce(sum(n), 0)::bigint, min(first_ts), max(last_ts),
               ARRAY(SELECT name FROM metering_type WHERE id IN (SELECT type_id FROM days) ORDER BY 1)
        FROM days
    """
    day = valid_from or date(1970, 1, 1)
    with connection.cursor() as cursor:
        cursor.execute(statement, {"subject": subject, "day": day, "since": since(day)})
        events, first, last, types = cursor.fetchone()
    return Gained(tuple(types), events, first, last)
