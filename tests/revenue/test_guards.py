"""What the database refuses, whoever asks: unbalanced, edited, enlarged or misplaced entries."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from functools import partial

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.models import Model

from billing.invoicing.models import Outbox
from customers.models import Customer
from revenue.ledger.journal import account_ids
from revenue.ledger.models import Account, AccountingPeriod, JournalEntry, JournalLine, Obligation, Posting, Recognition
from revenue.ledger.services import recognise
from tests.factories import make_customer, make_entity
from tests.revenue.helpers import D, at, close_by_hand, invoice, make_seller, sql, use

NOVEMBER = date(2023, 11, 1)


@contextmanager
def settled() -> Iterator[None]:
    """A transaction whose deferred checks are made at its end, also inside the one of a test."""
    with transaction.atomic():
        yield
        connection.check_constraints()


def bare_entry(*, lines: int, period: AccountingPeriod | None = None) -> JournalEntry:
    """An entry put straight into the table, without its lines."""
    entity = make_entity()
    period = period or AccountingPeriod.objects.get_or_create(entity=entity, month=NOVEMBER)[0]
    number = JournalEntry.objects.count() + 1
    return JournalEntry.objects.create(
        entity=entity, number=number, period=period, origin_month=NOVEMBER, date=NOVEMBER, event="payment",
        source=f"by hand {number}", memo="By hand", line_count=lines, recorded_at=at("2023-11-02"),
    )  # fmt: skip


def add_pair(entry: JournalEntry, debit: Decimal, credit: Decimal, *, currencies: str = "USD USD") -> None:
    """A debit of cash and a credit of receivables."""
    customer = Customer.objects.first() or make_customer()
    for code, currency, amounts in zip(("1000", "1100"), currencies.split(), ((debit, 0), (0, credit)), strict=True):
        JournalLine.objects.create(
            entry=entry, account_id=account_ids()[code], debit=amounts[0], credit=amounts[1], currency=currency,
            customer=customer,
        )  # fmt: skip


def entry_of(debit: str, credit: str, *, lines: int = 2, period: AccountingPeriod | None = None) -> JournalEntry:
    """An entry with a debit and a credit."""
    entry = bare_entry(lines=lines, period=period)
    add_pair(entry, D(debit), D(credit))
    return entry


def entry_in_two_currencies() -> None:
    """An entry whose debits and credits agree only when currencies are mixed up."""
    entry = entry_of("5.00", "5.00", lines=4)
    add_pair(entry, D(3), D(3), currencies="EUR CHF")


@pytest.mark.django_db
def test_it_works() -> None:
    entry = entry_of("5.00", "5.00")

    connection.check_constraints()

    assert entry.lines.count() == 2


@pytest.mark.django_db
def test_an_unbalanced_entry_is_refused() -> None:
    with pytest.raises(IntegrityError, match="does not balance"), settled():
        entry_of("5.00", "4.99")


@pytest.mark.django_db(transaction=True)
def test_an_unbalanced_entry_is_refused_at_commit() -> None:
    with pytest.raises(IntegrityError, match="does not balance"), transaction.atomic():
        entry_of("5.00", "4.99")

    assert not JournalEntry.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_balanced_entry_is_accepted_at_commit() -> None:
    with transaction.atomic():
        entry_of("5.00", "5.00")

    assert JournalEntry.objects.count() == 1


@pytest.mark.django_db
def test_debits_and_credits_must_agree_in_each_currency() -> None:
    with pytest.raises(IntegrityError, match="does not balance"), settled():
        entry_in_two_currencies()


@pytest.mark.django_db
def test_an_entry_without_its_lines_is_refused() -> None:
    with pytest.raises(IntegrityError, match=r"lacks its lines|is posted"), settled():
        entry_of("5.00", "5.00", lines=3)
    with pytest.raises(IntegrityError, match="lacks its lines"), settled():
        bare_entry(lines=0)


@pytest.mark.django_db(transaction=True)
def test_a_balanced_pair_cannot_be_added_to_a_posted_entry() -> None:
    with transaction.atomic():
        entry = entry_of("5.00", "5.00")

    with pytest.raises(IntegrityError, match="is posted: no line is added"), transaction.atomic():
        add_pair(entry, D(7), D(7))

    assert entry.lines.count() == 2


@pytest.mark.django_db
@pytest.mark.parametrize(("debit", "credit"), [("5.00", "5.00"), ("0", "0"), ("-5.00", "0")])
def test_a_line_has_one_side(debit: str, credit: str) -> None:
    line = entry_of("5.00", "5.00").lines.first()
    assert line is not None
    line.pk, line.debit, line.credit = None, D(debit), D(credit)

    with pytest.raises(IntegrityError, match="journalline_one_side"), transaction.atomic():
        line.save(force_insert=True)


@pytest.mark.django_db
def test_what_is_posted_is_neither_edited_nor_deleted() -> None:
    contract = make_seller()
    use(contract, "2023-11-10", 300)
    invoice(contract, "2023-12-01")
    recognise(through=NOVEMBER, now=at("2023-12-01"))
    changes: dict[type[Model], dict[str, object]] = {
        JournalEntry: {"memo": "Changed"}, JournalLine: {"currency": "EUR"}, Recognition: {"month": date(2023, 10, 1)},
        Obligation: {"currency": "EUR"}, Posting: {"posted_at": at("2030-01-01")}, Outbox: {"object_id": 0},
    }  # fmt: skip

    for model, change in changes.items():
        rows = model._default_manager.all()
        assert rows.exists()
        assert refused(partial(rows.update, **change)), model
        assert refused(partial(rows._raw_delete, "default")), model


def refused(attempt: Callable[[], object]) -> bool:
    """Whether a trigger protects the rows."""
    with pytest.raises(DatabaseError, match="Cannot update or delete rows"), transaction.atomic():
        attempt()
    return True


@pytest.mark.django_db
def test_a_closed_period_takes_no_entry_and_stays_closed() -> None:
    period = close_by_hand(make_entity(), "2023-11")

    with pytest.raises(IntegrityError, match="accounting period 2023-11 is closed"), transaction.atomic():
        entry_of("5.00", "5.00", period=period)
    with pytest.raises(IntegrityError, match="accounting period 2023-11 is closed"), transaction.atomic():
        sql(
            "INSERT INTO revenue_journalentry (entity_id, number, period_id, origin_month, date, event, source, memo,"
            " line_count, recorded_at) VALUES (%s, 1, %s, '2023-11-01', '2023-11-30', 'payment', 'a', 'b', 2, now())",
            [period.entity_id, period.pk],
        )
    with pytest.raises(DatabaseError, match="Invalid transition"), transaction.atomic():
        sql("UPDATE revenue_accountingperiod SET state = 'open', closed_at = NULL WHERE id = %s", [period.pk])
    with pytest.raises(DatabaseError, match="Cannot delete rows"), transaction.atomic():
        sql("DELETE FROM revenue_accountingperiod")


@pytest.mark.django_db
def test_a_month_before_a_closed_one_takes_no_entry() -> None:
    entity = make_entity()
    close_by_hand(entity, "2023-12")
    november = AccountingPeriod.objects.create(entity=entity, month=NOVEMBER)

    with pytest.raises(IntegrityError, match="a month after the accounting period 2023-11 is closed"):
        entry_of("5.00", "5.00", period=november)


@pytest.mark.django_db
def test_an_entry_stands_in_the_period_of_its_date_and_entity() -> None:
    december = AccountingPeriod.objects.create(entity=make_entity(), month=date(2023, 12, 1))
    elsewhere = AccountingPeriod.objects.create(entity=make_entity("beta"), month=NOVEMBER)

    for period in (december, elsewhere):
        with pytest.raises(IntegrityError, match="entry and period do not match"), transaction.atomic():
            entry_of("5.00", "5.00", period=period)


@pytest.mark.django_db
def test_recognition_builds_on_what_stands() -> None:
    contract = make_seller()
    invoice(contract, "2023-11-01")
    recognise(through=NOVEMBER, now=at("2023-12-01"))
    first = Recognition.objects.get()

    for revision, before in ((1, "90.00"), (2, "80.00"), (3, "90.00")):
        with pytest.raises(IntegrityError), transaction.atomic():
            Recognition.objects.create(
                obligation=first.obligation, month=first.month, revision=revision, posted_before=D(before),
                target=D("100.00"), amount=D("100.00") - D(before), entry=first.entry,
            )  # fmt: skip

    assert Recognition.objects.count() == 1


@pytest.mark.django_db
def test_an_account_in_use_stays() -> None:
    entry_of("5.00", "5.00")

    with pytest.raises(IntegrityError), settled():
        sql("DELETE FROM revenue_account WHERE code = '1000'")

    assert Account.objects.filter(code="1000").exists()
