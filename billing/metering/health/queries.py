"""How ingest is doing, from batches, rejections and statistics: never from the events, so that it takes no time."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection
from django.db.models import Max, Sum

from billing.metering.models import ApiKey
from billing.metering.reports.models import EventConflict, EventReject

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)


@dataclass(slots=True)
class KeyUse:
    """What came with an API key in the last day; no key is an import."""

    name: str
    events: int = 0
    last: datetime | None = None
    rejects: int = 0
    revoked: bool = False


@dataclass(slots=True)
class Rates:
    """Stored events by minute (the last hour) and by hour (the last day), and what came with each key."""

    by_minute: dict[datetime, int] = field(default_factory=dict)
    by_hour: dict[datetime, int] = field(default_factory=dict)
    by_key: dict[int | None, KeyUse] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Lag:
    """Batches that no rollup holds yet, their events, and when the oldest came. Answers include them all the same."""

    batches: int
    events: int
    oldest: datetime | None


@dataclass(frozen=True, slots=True)
class Reject:
    """Events refused in the last day, by reason."""

    code: str
    events: int
    last: datetime
    message: str


def rates(now: datetime) -> Rates:
    """Stored events of the last hour and the last day (UTC), and by key, whether or not it was used. Three queries."""
    found = Rates()
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT date_bin('1 minute', recorded_at, '2000-01-01 00:00:00+00'), coalesce(sum(events), 0)
               FROM metering_batch WHERE recorded_at >= %s AND recorded_at <= %s GROUP BY 1""",
            [_full(now, "minute") - HOUR, now],
        )
        found.by_minute = {minute: int(events) for minute, events in cursor.fetchall()}
        cursor.execute(
            """SELECT date_bin('1 hour', recorded_at, '2000-01-01 00:00:00+00'), key_id, coalesce(sum(events), 0),
                      max(recorded_at)
               FROM metering_batch WHERE recorded_at >= %s AND recorded_at <= %s GROUP BY 1, 2""",
            [_full(now, "hour") - DAY, now],
        )
        rows = cursor.fetchall()
    keys = ApiKey.objects.values_list("pk", "name", "revoked_at", "use__last_used_at").order_by("name")
    found.by_key = {pk: KeyUse(name, last=last, revoked=revoked is not None) for pk, name, revoked, last in keys}
    hours: dict[datetime, int] = defaultdict(int)
    for hour, key, events, last in rows:
        hours[hour] += int(events)
        use = found.by_key.setdefault(key, KeyUse("a key that is gone" if key else "imports"))
        use.events += int(events)
        use.last = max(use.last or last, last)
    found.by_hour = dict(hours)
    return found


def lag() -> Lag:
    """What waits for the rollups. One query."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT count(*), coalesce(sum(b.events), 0)::bigint, min(b.recorded_at)
               FROM metering_pending p JOIN metering_batch b ON b.no = p.batch"""
        )
        return Lag(*cursor.fetchone())


def rejects(now: datetime) -> list[Reject]:
    """What was refused in the last day, by reason, most first."""
    rows = _refused(now).values("code").annotate(events=Sum("count"), last=Max("last_at"), message=Max("last_message"))
    return [Reject(**row) for row in rows.order_by("-events", "code")]


def rejects_by_key(now: datetime) -> dict[int | None, int]:
    """How many events of each key were refused in the last day."""
    return dict(_refused(now).values_list("key_id").annotate(events=Sum("count")).order_by("key_id"))


def conflicts(now: datetime) -> int:
    """Ids that came again with another content in the last day."""
    return EventConflict.objects.filter(last_seen__gte=now - DAY).count()


def _refused(now: datetime) -> Any:
    return EventReject.objects.filter(hour__gte=_full(now, "hour") - DAY)


def storage() -> list[tuple[str, int]]:
    """What is kept and how many bytes it takes, with indexes."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT coalesce(sum(pg_total_relation_size(inhrelid)), 0)::bigint,
                      pg_total_relation_size('metering_key'),
                      pg_total_relation_size('metering_hour') + pg_total_relation_size('metering_day')
                      + pg_total_relation_size('metering_hour_value') + pg_total_relation_size('metering_day_value')
               FROM pg_inherits WHERE inhparent = 'metering_event'::regclass"""
        )
        sizes = cursor.fetchone()
    return list(zip(("Events", "Ids that are known for ever", "Rollups"), sizes, strict=True))


def _full(instant: datetime, unit: str) -> datetime:
    """The minute or hour that an instant lies in."""
    full = instant.replace(second=0, microsecond=0)
    return full if unit == "minute" else full.replace(minute=0)
