"""What stands in the way of closing a month (R7.5, docs/books.md)."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.db.models import Count, QuerySet

from billing.invoicing.models import Invoice, Outbox
from billing.payments.balance.models import BalanceEntry
from billing.payments.models import Payment
from billing.payments.writeoffs.models import WriteOff
from customers.models import LegalEntity
from revenue.ledger import periods
from revenue.ledger.errors import (
    BooksDoNotTie,
    DocumentsUnposted,
    EarlierMonthOpen,
    MonthNotOver,
    PeriodAlreadyClosed,
    RecognitionOutstanding,
)
from revenue.ledger.models import AccountingPeriod
from revenue.ledger.recognition import deltas
from revenue.ledger.ties import ties


def refuse_unfinished(entity: LegalEntity, month: date, now: datetime) -> None:
    """MonthNotOver while the month has not ended in the entity's zone."""
    ends = periods.end_of(month, entity)
    if now < ends:
        raise MonthNotOver(entity, month, ends)


def refuse_to_close(entity: LegalEntity, month: date, *, recognised: bool) -> None:
    """Raise the first reason not to close `month`, a first day, of the entity. The caller holds the books' lock.

    `recognised` says that revenue was recognised in this transaction: it need not be computed again.
    """
    refuse_closed(entity, month)
    _refuse_open_before(entity, month)
    _refuse_unposted(entity, month)
    if not recognised:
        _refuse_unrecognised(entity, month)
    _refuse_untied(entity)


def refuse_closed(entity: LegalEntity, month: date) -> None:
    """PeriodAlreadyClosed when the month is closed, by itself or with a later one."""
    closed = periods.closed_through([entity.pk]).get(entity.pk)
    if closed is not None and month <= closed:
        own = AccountingPeriod.objects.filter(entity=entity, month=month, state=AccountingPeriod.State.CLOSED)
        raise PeriodAlreadyClosed(entity, month, own.first())


def _refuse_open_before(entity: LegalEntity, month: date) -> None:
    earlier = AccountingPeriod.objects.filter(entity=entity, month__lt=month, state=AccountingPeriod.State.OPEN)
    used = earlier.annotate(posted=Count("entries")).filter(posted__gt=0).order_by("month").first()
    if used is not None:
        raise EarlierMonthOpen(entity, used.month, used.posted)


def _refuse_unposted(entity: LegalEntity, month: date) -> None:
    waiting = Outbox.objects.filter(posting=None)
    kinds, after = Outbox.Kind, periods.next_month(month)
    dated: list[tuple[Outbox.Kind, QuerySet[Any]]] = [
        (kinds.INVOICE_ISSUED, Invoice.objects.filter(entity=entity, issue_date__lt=after)),
        (kinds.PAYMENT_RECORDED, Payment.objects.filter(entity=entity, received_on__lt=after)),
        (kinds.BALANCE_MOVED, BalanceEntry.objects.filter(account__entity=entity, day__lt=after)),
        (kinds.WRITE_OFF_BOOKED, WriteOff.objects.filter(invoice__entity=entity, decided_on__lt=after)),
        (kinds.WRITE_OFF_REVERSED, WriteOff.objects.filter(invoice__entity=entity, reversed_on__lt=after)),
    ]
    count = sum(rows.filter(pk__in=waiting.filter(kind=kind).values("object_id")).count() for kind, rows in dated)
    if count:
        raise DocumentsUnposted(entity, month, count)


def _refuse_unrecognised(entity: LegalEntity, month: date) -> None:
    missing = deltas(through=month, entities=[entity])
    if missing:
        net: dict[str, Decimal] = {}
        for delta in missing:
            net[delta.currency] = net.get(delta.currency, Decimal(0)) + delta.amount
        raise RecognitionOutstanding(entity, month, len(missing), net)


def _refuse_untied(entity: LegalEntity) -> None:
    broken = [tie for tie in ties(entity=entity).rows if tie.difference]
    if broken:
        raise BooksDoNotTie(entity, broken)
