"""The one writer of journal entries: accounts, period, number and lines for entries that callers describe.

Every writer holds the books' lock (`lock_books`) until its transaction ends. Under READ COMMITTED the statements after
the lock see all that earlier holders committed, so "the last number plus one" is neither reused nor skipped, and a
rolled-back posting leaves no gap. The unique constraints would refuse the rest.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from django.db import connection
from django.db.models import Max

from revenue.ledger import periods
from revenue.ledger.chart import CHART
from revenue.ledger.models import Account, JournalEntry, JournalLine

BOOKS_LOCK = (7002, 0)  # 7001 is billing's, one a customer
ROWS = 2000  # per INSERT


@dataclass(frozen=True, slots=True)
class NewLine:
    """A side of an entry: `amount`, in the entry's currency, is a debit when positive and a credit when negative."""

    account: str
    amount: Decimal
    customer_id: int
    contract_id: int | None = None
    obligation_id: int | None = None


@dataclass(frozen=True, slots=True)
class NewEntry:
    """An entry to post. `day` is the day it concerns; its period follows from that and from what is closed."""

    entity_id: int
    event: JournalEntry.Event
    source: str
    memo: str
    day: date
    currency: str
    lines: tuple[NewLine, ...]


def lock_books() -> None:
    """Wait until no other transaction posts or closes, and keep others waiting until this one ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", BOOKS_LOCK)


def post(entries: Sequence[NewEntry], *, now: datetime) -> list[JournalEntry]:
    """Post the entries in order, in a constant number of queries; the caller holds the books' lock.

    Each goes to the month of its day, or, where that is closed, to the earliest open one, dated its first day and
    marked with the month that it concerns (R7.5). Balance and open period are the database's to check.
    """
    if not entries:
        return []
    entities = {entry.entity_id for entry in entries}
    closed = periods.closed_through(entities)
    dates = [periods.posting_date(entry.day, closed.get(entry.entity_id)) for entry in entries]
    ids = periods.ensure((entry.entity_id, periods.month_of(day)) for entry, day in zip(entries, dates, strict=True))
    numbers = Counter(_last_numbers(entities))
    rows = []
    for entry, day in zip(entries, dates, strict=True):
        numbers[entry.entity_id] += 1
        rows.append(
            JournalEntry(
                entity_id=entry.entity_id,
                number=numbers[entry.entity_id],
                period_id=ids[entry.entity_id, periods.month_of(day)],
                origin_month=periods.month_of(entry.day),
                date=day,
                event=entry.event,
                source=entry.source,
                memo=entry.memo[:200],
                line_count=len(entry.lines),
                recorded_at=now,
            )
        )
    posted = JournalEntry.objects.bulk_create(rows, batch_size=ROWS)
    JournalLine.objects.bulk_create(_lines(entries, posted), batch_size=ROWS)
    return posted


def account_ids() -> dict[str, int]:
    """The chart's accounts by code. One that is missing (a flushed database) is made again."""
    found = dict(Account.objects.values_list("code", "pk"))
    missing = [Account(code=code, name=name, kind=kind) for code, name, kind in CHART if code not in found]
    if missing:
        Account.objects.bulk_create(missing, ignore_conflicts=True)
        found = dict(Account.objects.values_list("code", "pk"))
    return found


def _last_numbers(entities: set[int]) -> dict[int, int]:
    """The last number given in each entity that has any."""
    given = JournalEntry.objects.filter(entity__in=entities)
    return dict(given.values_list("entity").annotate(last=Max("number")).order_by())


def _lines(entries: Sequence[NewEntry], posted: Sequence[JournalEntry]) -> list[JournalLine]:
    """The rows of all lines, in order."""
    accounts = account_ids()
    return [
        JournalLine(
            entry=row,
            account_id=accounts[line.account],
            debit=max(line.amount, Decimal(0)),
            credit=max(-line.amount, Decimal(0)),
            currency=entry.currency,
            customer_id=line.customer_id,
            contract_id=line.contract_id,
            obligation_id=line.obligation_id,
        )
        for entry, row in zip(entries, posted, strict=True)
        for line in entry.lines
    ]
