"""Months of the books: which one takes an entry, and the rows that stand for them, made on demand (R7.5)."""

from collections.abc import Collection, Iterable
from datetime import date, datetime

from django.db.models import Max

from billing.periods import local_midnight
from customers.models import LegalEntity
from revenue.ledger.models import AccountingPeriod


def month_of(day: date) -> date:
    """The first day of the month that contains `day`."""
    return day.replace(day=1)


def next_month(month: date) -> date:
    """The first day of the following month."""
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


def months(first: date, last: date) -> list[date]:
    """The first days of the months from that of `first` to that of `last`; none when it comes before."""
    found, month = [], month_of(first)
    while month <= month_of(last):
        found.append(month)
        month = next_month(month)
    return found


def last_day(month: date) -> date:
    """The last day of the month that contains `month`."""
    return next_month(month) - date.resolution


def start_of(month: date, entity: LegalEntity) -> datetime:
    """The instant at which the month starts in the entity's time zone, in UTC."""
    return local_midnight(month, entity.timezone)


def end_of(month: date, entity: LegalEntity) -> datetime:
    """The instant at which the month ends in the entity's time zone, in UTC."""
    return local_midnight(next_month(month), entity.timezone)


def closed_through(entity_ids: Collection[int]) -> dict[int, date]:
    """The latest closed month of each entity that has one. Months close in order: all before it are closed too."""
    closed = AccountingPeriod.objects.filter(entity__in=entity_ids, state=AccountingPeriod.State.CLOSED)
    return dict(closed.values_list("entity").annotate(month=Max("month")).order_by())


def open_month(day: date, closed: date | None) -> date:
    """Where what happened on `day` posts: its own month, or the earliest open one when that is closed (R7.5)."""
    return month_of(day) if closed is None else max(month_of(day), next_month(closed))


def posting_date(day: date, closed: date | None) -> date:
    """`day`, or the first day of the earliest open month when its own month is closed (R7.5)."""
    month = open_month(day, closed)
    return day if month == month_of(day) else month


def ensure(months: Iterable[tuple[int, date]]) -> dict[tuple[int, date], int]:
    """The ids of the periods of those (entity, month); the missing ones are made, open."""
    wanted = set(months)
    AccountingPeriod.objects.bulk_create(
        [AccountingPeriod(entity_id=entity, month=month) for entity, month in sorted(wanted)], ignore_conflicts=True
    )
    found = AccountingPeriod.objects.filter(
        entity__in={entity for entity, _ in wanted}, month__in={m for _, m in wanted}
    )
    return {(period.entity_id, period.month): period.pk for period in found}
