"""The verbs of alerts: hold every customer's usage against its own history, open what is odd, close what is over."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from django.contrib.auth.models import AbstractBaseUser
from django.db import connection, transaction
from django.db.models import Q

from billing.metering.alerts.errors import AlreadyAcknowledged
from billing.metering.alerts.models import UsageAlert
from billing.metering.alerts.queries import series
from billing.metering.alerts.rules import Finding, judge
from billing.metering.models import Meter
from customers.models import Customer, UsageSubject

CHUNK: Final = 500
"""Customers that are looked at in one go: the number of queries does not grow within it."""

_LOCK: Final = 7007
Kind = UsageAlert.Kind


def evaluate(*, now: datetime) -> list[UsageAlert]:
    """Judge the last whole day (UTC) of every customer and meter; the alerts that were opened.

    What is odd opens an alert unless one is open; an open one closes by itself when usage is back (a stop) or as usual
    (a jump). So a second evaluation of the same day does nothing.
    """
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    opened: list[UsageAlert] = []
    claiming = _claiming(today)
    gone = UsageAlert.objects.filter(closed_at=None, customer__isnull=False).exclude(customer__in=claiming)
    gone.update(closed_at=now)  # nothing is expected of them any more
    for customer_ids in _chunks(claiming):
        with transaction.atomic():
            _one_at_a_time()
            opened += _evaluate(customer_ids, today, now)
    return opened


def open_alert(
    *, kind: str, since: datetime, now: datetime, customer: Customer | None = None, meter: Meter | None = None,
    source: str = "", expected: Decimal | None = None, seen: Decimal | None = None,
) -> UsageAlert | None:  # fmt: skip
    """Open an alert; None when the same one is open already. A silent source has `source`, the others the rest."""
    with transaction.atomic():
        _one_at_a_time()
        same = {"kind": kind, "customer": customer, "meter": meter, "source": source}
        if UsageAlert.objects.filter(**same, closed_at=None).exists():
            return None
        return UsageAlert.objects.create(**same, since=since, expected=expected, seen=seen, opened_at=now)


def close_alerts(*, now: datetime, kind: str, source: str) -> int:
    """Close the open alerts of a source that is heard again; how many."""
    return UsageAlert.objects.filter(kind=kind, source=source, closed_at=None).update(closed_at=now)


def acknowledge(*, alert_ids: Sequence[int], reason: str, user: AbstractBaseUser, now: datetime) -> int:
    """Note who looked into alerts, and what they found; how many there were. AlreadyAcknowledged, and none is noted."""
    alerts = list(UsageAlert.objects.select_for_update(of=("self",)).filter(pk__in=alert_ids))
    for alert in alerts:
        if alert.acknowledged_at:
            raise AlreadyAcknowledged(str(alert))
    return UsageAlert.objects.filter(pk__in=alert_ids).update(
        acknowledged_at=now, acknowledged_by=user.pk, acknowledgement=reason
    )


def _claiming(today: datetime) -> list[int]:
    """Customers that claim a subject now: from others no usage is expected."""
    claims = UsageSubject.objects.filter(
        Q(valid_to=None) | Q(valid_to__gte=today), Q(valid_from=None) | Q(valid_from__lt=today)
    )
    return list(claims.order_by("customer_id").values_list("customer_id", flat=True).distinct())


def _chunks(ids: list[int]) -> Iterator[list[int]]:
    return ([*ids[start : start + CHUNK]] for start in range(0, len(ids), CHUNK))


def _evaluate(customer_ids: list[int], today: datetime, now: datetime) -> list[UsageAlert]:
    """See evaluate, for a chunk of customers: one statement reads their days, three read and write the alerts."""
    days = series(customer_ids, today)
    open_now = {
        (alert.customer_id, alert.meter_id, alert.kind): alert
        for alert in UsageAlert.objects.filter(customer__in=customer_ids, closed_at=None)
    }
    new, over = [], []
    for (customer, meter), found in days.items():
        finding = judge(found[:-1], found[-1])
        if finding and (customer, meter, finding.kind) not in open_now:
            new.append(_alert(customer, meter, finding, today, now))
        for kind in (Kind.STOP, Kind.JUMP):
            alert = open_now.pop((customer, meter, kind), None)
            silent = kind == Kind.STOP and found[-1].events == 0  # a stop lasts until usage is back
            if alert and not silent and (finding is None or finding.kind != kind):
                over.append(alert.pk)
    # What is left has had no usage in all this time: a jump is over then, and a stop goes on.
    over += [alert.pk for (_, _, kind), alert in open_now.items() if kind == Kind.JUMP]
    if over:
        UsageAlert.objects.filter(pk__in=over).update(closed_at=now)
    return UsageAlert.objects.bulk_create(new)


def _alert(customer: int, meter: int, finding: Finding, today: datetime, now: datetime) -> UsageAlert:
    return UsageAlert(
        kind=finding.kind, customer_id=customer, meter_id=meter, source="", opened_at=now, seen=finding.seen,
        expected=finding.expected, since=today - timedelta(days=1 + finding.days),
    )  # fmt: skip


def _one_at_a_time() -> None:
    """Whoever opens alerts waits for the others, until the transaction ends: what is open stays what was read."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
