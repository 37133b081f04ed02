"""A month is closed once everything that concerns it stands in it, and from then on nothing posts into it."""

from datetime import date

import pytest
from django.contrib.auth.models import User

from revenue.ledger import chart
from revenue.ledger.errors import (
    BooksDoNotTie,
    DocumentsUnposted,
    EarlierMonthOpen,
    MonthNotOver,
    PeriodAlreadyClosed,
    RecognitionOutstanding,
)
from revenue.ledger.journal import NewEntry, NewLine, lock_books, post
from revenue.ledger.models import AccountingPeriod, JournalEntry
from revenue.ledger.services import close_period, post_documents, recognise
from tests.factories import make_entity
from tests.revenue.helpers import D, at, balance, invoice, make_seller, pay, use

pytestmark = pytest.mark.django_db
NOVEMBER, DECEMBER = date(2023, 11, 1), date(2023, 12, 1)


def test_it_works() -> None:
    contract = make_seller()
    user = User.objects.create(username="fin")
    invoice(contract, "2023-11-01")
    recognise(through=NOVEMBER, now=at("2023-12-01"))

    period = close_period(entity=contract.entity, month=date(2023, 11, 30), user=user, now=at("2023-12-04"))

    assert (period.month, period.state, period.closed_at, period.closed_by) == (
        NOVEMBER,
        "closed",
        at("2023-12-04"),
        user,
    )


def test_a_month_is_not_closed_before_it_is_over_in_the_entitys_zone() -> None:
    entity = make_entity("york", timezone="America/New_York")

    with pytest.raises(MonthNotOver, match=r"ends at 2023-12-01 05:00 UTC\. Choose an earlier month"):
        close_period(entity=entity, month=NOVEMBER, user=None, now=at("2023-12-01T04:59"))

    assert close_period(entity=entity, month=NOVEMBER, user=None, now=at("2023-12-01T05:00")).state == "closed"


def test_months_close_in_order() -> None:
    contract = make_seller()
    invoice(contract, "2023-11-01")
    recognise(through=DECEMBER, now=at("2024-01-01"))

    with pytest.raises(EarlierMonthOpen, match="November 2023 of acme is still open and has 2 entries"):
        close_period(entity=contract.entity, month=DECEMBER, user=None, now=at("2024-01-02"))


def test_earlier_months_without_entries_close_with_it() -> None:
    contract = make_seller()
    empty = AccountingPeriod.objects.create(entity=contract.entity, month=date(2023, 10, 1))
    invoice(contract, "2023-11-01")
    recognise(through=NOVEMBER, now=at("2023-12-01"))

    close_period(entity=contract.entity, month=NOVEMBER, user=None, now=at("2023-12-01"))

    empty.refresh_from_db()
    assert empty.state == "closed"


def test_documents_that_the_books_have_not_taken_hold_the_close() -> None:
    contract = make_seller()
    pay(invoice(contract, "2023-11-01"), "10.00", "2023-11-30")

    with pytest.raises(DocumentsUnposted, match="have not taken 2 documents dated up to the end of November 2023"):
        close_period(entity=contract.entity, month=NOVEMBER, user=None, now=at("2023-12-01"))


def test_a_document_of_a_later_month_does_not_hold_the_close() -> None:
    contract = make_seller()
    issued = invoice(contract, "2023-11-01")
    recognise(through=NOVEMBER, now=at("2023-12-01"))
    pay(issued, "10.00", "2023-12-01")

    assert close_period(entity=contract.entity, month=NOVEMBER, user=None, now=at("2023-12-02")).state == "closed"


def test_revenue_that_is_not_recognised_holds_the_close() -> None:
    contract = make_seller()
    invoice(contract, "2023-11-01")
    use(contract, "2023-11-10", 300)
    post_documents(now=at("2023-12-01"))

    with pytest.raises(RecognitionOutstanding, match=r"2 amounts of revenue .* \(net USD 93\.00\) still to post"):
        close_period(entity=contract.entity, month=NOVEMBER, user=None, now=at("2023-12-01"))


def test_usage_that_came_after_the_run_holds_the_close() -> None:
    contract = make_seller()
    use(contract, "2023-11-10", 300)
    recognise(through=NOVEMBER, now=at("2023-12-01"))
    use(contract, "2023-11-11", 100, now="2023-12-01")

    with pytest.raises(RecognitionOutstanding, match="1 amount of revenue"):
        close_period(entity=contract.entity, month=NOVEMBER, user=None, now=at("2023-12-01"))


def test_a_closed_month_is_not_closed_again() -> None:
    entity = make_entity()
    close_period(entity=entity, month=DECEMBER, user=None, now=at("2024-01-01"))

    with pytest.raises(PeriodAlreadyClosed, match=r"December 2023 of acme was closed at 2024-01-01 00:00 UTC"):
        close_period(entity=entity, month=DECEMBER, user=None, now=at("2024-01-02"))
    with pytest.raises(PeriodAlreadyClosed, match="November 2023 of acme lies before a closed month"):
        close_period(entity=entity, month=NOVEMBER, user=None, now=at("2024-01-02"))


def test_books_that_do_not_tie_hold_the_close() -> None:
    contract = make_seller()
    lock_books()
    sides = (
        NewLine(chart.RECEIVABLE, D("5.00"), contract.customer_id),
        NewLine(chart.DEFERRED, D("-5.00"), contract.customer_id),
    )
    event = JournalEntry.Event.INVOICE_ISSUED
    post([NewEntry(contract.entity_id, event, "by hand", "By hand", NOVEMBER, "USD", sides)], now=at("2023-11-02"))

    with pytest.raises(BooksDoNotTie, match=r"1100 Accounts receivable by USD 5\.00; 2100 Deferred revenue by USD 5"):
        close_period(entity=contract.entity, month=NOVEMBER, user=None, now=at("2023-12-01"))


def test_what_comes_after_the_close_leaves_the_month_as_it_was() -> None:
    contract = make_seller()
    issued = invoice(contract, "2023-11-01")
    use(contract, "2023-11-10", 300)
    recognise(through=NOVEMBER, now=at("2023-12-01"))
    close_period(entity=contract.entity, month=NOVEMBER, user=None, now=at("2023-12-01"))
    before = list(JournalEntry.objects.filter(period__month=NOVEMBER).values())

    use(contract, "2023-11-11", 100, now="2023-12-02")
    pay(issued, "90.00", "2023-11-29")
    invoice(contract, "2023-12-01", now="2023-12-03")
    recognise(through=DECEMBER, now=at("2024-01-01"))

    assert list(JournalEntry.objects.filter(period__month=NOVEMBER).values()) == before
    late = JournalEntry.objects.filter(origin_month=NOVEMBER, period__month=DECEMBER)
    assert sorted(late.values_list("event", flat=True)) == ["payment", "usage_rated"]
    assert balance("4010", month="2023-12") == D("-1.00")


def test_a_close_may_post_first_what_is_left_to_post() -> None:
    contract = make_seller()
    invoice(contract, "2023-11-01")
    use(contract, "2023-11-10", 300)

    period = close_period(entity=contract.entity, month=NOVEMBER, user=None, now=at("2023-12-01"), recognise_first=True)

    assert (period.state, balance(chart.SUBSCRIPTION_REVENUE), balance(chart.USAGE_REVENUE)) == (
        "closed", D("-90.00"), D("-3.00"))  # fmt: skip
    with pytest.raises(PeriodAlreadyClosed):
        close_period(entity=contract.entity, month=NOVEMBER, user=None, now=at("2023-12-01"), recognise_first=True)
