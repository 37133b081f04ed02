"""Postings and closes at the same moment, from real connections that commit."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from billing.invoicing.models import Outbox
from customers.models import LegalEntity
from revenue.ledger.errors import LedgerError
from revenue.ledger.models import AccountingPeriod, JournalEntry, Posting, Recognition
from revenue.ledger.services import close_period, post_documents, recognise
from revenue.reports.ties import ties
from tests.revenue.helpers import D, at, balance, invoice, make_seller, numbers_are_gapless, pay, use

pytestmark = pytest.mark.django_db(transaction=True)
NOVEMBER, DECEMBER = date(2023, 11, 1), date(2023, 12, 1)
NOW = at("2023-12-01")


def together(*actions: Callable[[], Any]) -> list[Any]:
    """What each action returns or raises, all started at once, each on a connection of its own."""
    barrier = threading.Barrier(len(actions))

    def act(action: Callable[[], Any]) -> Any:
        barrier.wait()
        try:
            return action()
        except (LedgerError, IntegrityError) as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(act, actions))


def test_it_works() -> None:
    for _ in range(6):
        pay(invoice(make_seller(), "2023-11-01"), "10.00", "2023-11-02")

    taken = together(*[lambda: post_documents(now=NOW)] * 4)

    assert sum(taken) == Posting.objects.count() == Outbox.objects.count() == 12
    assert JournalEntry.objects.count() == 12
    assert numbers_are_gapless()
    assert ties().hold


def test_numbers_stay_gapless_when_a_posting_is_rolled_back() -> None:
    invoice(make_seller(), "2023-11-01")

    with pytest.raises(RuntimeError), transaction.atomic():
        post_and_fail()
    post_documents(now=NOW)

    assert JournalEntry.objects.get().number == 1


def post_and_fail() -> None:
    post_documents(now=NOW)
    raise RuntimeError("the power went out")


def test_two_recognitions_at_once_post_once() -> None:
    for _ in range(3):
        contract = make_seller()
        use(contract, "2023-11-10", 1000)
        invoice(contract, "2023-12-01")

    reports = together(*[lambda: recognise(through=NOVEMBER, now=NOW)] * 3)

    assert sorted(report.entries for report in reports) == [0, 0, 6]
    assert set(Recognition.objects.values_list("revision", flat=True)) == {1}
    assert balance("4010") == D("-30.00")
    assert numbers_are_gapless()


def test_documents_that_arrive_while_others_are_posted_are_taken_once() -> None:
    contracts = [make_seller() for _ in range(3)]

    def bill_and_post(contract: Any) -> int:
        invoice(contract, "2023-11-01")
        return post_documents(now=NOW)

    taken = together(*[lambda contract=contract: bill_and_post(contract) for contract in contracts])

    assert sum(taken) + post_documents(now=NOW) == 3
    assert JournalEntry.objects.count() == 3


@pytest.mark.parametrize("attempt", range(4))
def test_a_close_and_a_posting_at_once_never_leave_an_entry_in_a_closed_month(attempt: int) -> None:
    contract = make_seller()
    first = invoice(contract, "2023-11-01")
    recognise(through=NOVEMBER, now=NOW)
    pay(first, "90.00", "2023-12-01")  # of December: it does not hold the close
    other = make_seller()
    before = set(JournalEntry.objects.values_list("pk", flat=True))

    def bill_and_post() -> int:
        invoice(other, "2023-11-01", now="2023-11-30")
        return post_documents(now=NOW)

    closed, _ = together(
        lambda: close_period(entity=contract.entity, month=NOVEMBER, user=None, now=NOW), bill_and_post
    )

    late = JournalEntry.objects.filter(period__month=NOVEMBER).exclude(pk__in=before)
    if isinstance(closed, AccountingPeriod):
        assert not late.exists(), "posted into a month that was closed"
        assert JournalEntry.objects.filter(origin_month=NOVEMBER, period__month=DECEMBER).exists()
    else:  # the posting came first, and its revenue is still to recognise
        assert isinstance(closed, LedgerError)
        assert late.exists()
    post_documents(now=NOW)
    assert ties().hold


@pytest.mark.parametrize("poster_first", [True, False])
def test_the_database_alone_keeps_an_entry_out_of_a_month_that_is_being_closed(poster_first: bool) -> None:
    contract = make_seller()
    invoice(contract, "2023-11-01")
    post_documents(now=NOW)
    period = AccountingPeriod.objects.get()
    first_has_written, second_may_commit = threading.Event(), threading.Event()

    def insert() -> str:
        JournalEntry.objects.create(
            entity=period.entity, number=99, period=period, origin_month=NOVEMBER, date=NOVEMBER, event="payment",
            source="sql", memo="sql", line_count=0, recorded_at=NOW,
        )  # fmt: skip
        return "inserted"

    def close() -> str:
        AccountingPeriod.objects.filter(pk=period.pk).update(state="closed", closed_at=NOW)
        return "closed"

    def goes_first(action: Callable[[], str]) -> str:
        with transaction.atomic():
            answer = action()
            first_has_written.set()
            second_may_commit.wait(0.5)  # the other waits for this transaction: give it time to reach the lock
            if answer == "inserted":
                transaction.set_rollback(True)  # a bare entry would not pass the deferred check anyway
        return answer

    def goes_second(action: Callable[[], str]) -> str:
        first_has_written.wait(5)
        with transaction.atomic():
            return action()

    order = (insert, close) if poster_first else (close, insert)
    first, second = together(lambda: goes_first(order[0]), lambda: goes_second(order[1]))

    assert first == ("inserted" if poster_first else "closed")
    if poster_first:
        assert second == "closed"
    else:
        assert "accounting period 2023-11 is closed" in str(second)
    assert not JournalEntry.objects.filter(source="sql").exists()


def test_two_closes_at_once_close_once() -> None:
    contract = make_seller()
    invoice(contract, "2023-11-01")
    recognise(through=NOVEMBER, now=NOW)
    entity = LegalEntity.objects.get()

    answers = together(*[lambda: close_period(entity=entity, month=NOVEMBER, user=None, now=NOW)] * 2)

    assert sorted(type(answer).__name__ for answer in answers) == ["AccountingPeriod", "PeriodAlreadyClosed"]
