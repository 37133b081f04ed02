"""The trial balance and the ties: what finance and its auditors look at first."""

from datetime import date

import pytest
from django.db import connection, transaction

from billing.catalog.services import end_subscription
from revenue.ledger.journal import NewEntry, NewLine, lock_books, post
from revenue.ledger.models import Posting
from revenue.ledger.services import close_period, post_documents, recognise
from revenue.reports.ties import ties
from revenue.reports.trial_balance import TrialBalance, trial_balance
from tests.billing.invoicing.test_taxes import rate, subscribed, taxed
from tests.factories import bill_and_issue, fee, make_entity
from tests.revenue.helpers import D, at, invoice, make_seller, pay, sql, use

pytestmark = pytest.mark.django_db
NOVEMBER, DECEMBER = date(2023, 11, 1), date(2023, 12, 1)


def rows(report: TrialBalance) -> list[tuple[str, str, str, str, str]]:
    return [
        (row.account.code, *(f"{amount:.2f}" for amount in (row.opening, row.debits, row.credits, row.closing)))
        for row in report.rows
    ]


def test_it_works() -> None:
    contract = make_seller()
    issued = invoice(contract, "2023-11-01")
    use(contract, "2023-11-10", 1200)
    pay(issued, "90.00", "2023-11-20")
    invoice(contract, "2023-12-01")
    recognise(through=NOVEMBER, now=at("2023-12-01"))

    report = trial_balance(entity=contract.entity, month=date(2023, 12, 15))

    assert rows(report) == [
        ("1000", "90.00", "0.00", "0.00", "90.00"),
        ("1100", "0.00", "102.00", "0.00", "102.00"),
        ("1150", "12.00", "0.00", "12.00", "0.00"),
        ("2100", "0.00", "0.00", "90.00", "90.00"),
        ("4000", "90.00", "0.00", "0.00", "90.00"),
        ("4010", "12.00", "0.00", "0.00", "12.00"),
    ]
    assert (report.currencies, report.difference("USD"), report.state) == (["USD"], 0, "open")
    assert report.position == Posting.objects.latest("position").position


def test_the_closing_of_a_month_is_the_opening_of_the_next() -> None:
    contract = make_seller()
    invoice(contract, "2023-11-01")
    use(contract, "2023-11-10", 1200)
    invoice(contract, "2023-12-01")
    recognise(through=DECEMBER, now=at("2024-01-01"))

    november, december = (trial_balance(entity=contract.entity, month=month) for month in (NOVEMBER, DECEMBER))

    closing = {row.account.code: row.closing for row in november.rows}
    opening = {row.account.code: row.opening for row in december.rows}
    assert closing == {code: opening[code] for code in closing}
    assert not any(opening[code] for code in opening.keys() - closing.keys())


def test_a_trial_balance_is_of_one_entity_and_each_currency_on_its_own() -> None:
    dollars = make_seller()
    euros = make_seller(currency="EUR")
    other = make_seller(entity=make_entity("beta"))
    for contract in (dollars, euros, other):
        invoice(contract, "2023-11-01")
    post_documents(now=at("2023-11-02"))

    report = trial_balance(entity=dollars.entity, month=NOVEMBER)

    assert [(row.account.code, row.currency, row.closing) for row in report.rows] == [
        ("1100", "EUR", D(90)), ("1100", "USD", D(90)), ("2100", "EUR", D(90)), ("2100", "USD", D(90)),
    ]  # fmt: skip
    assert (report.difference("EUR"), report.difference("USD")) == (0, 0)


def test_a_closed_month_says_so() -> None:
    entity = make_entity()
    close_period(entity=entity, month=NOVEMBER, user=None, now=at("2023-12-01"))

    assert trial_balance(entity=entity, month=NOVEMBER).state == "closed"


def test_ties_name_each_account_with_both_sides() -> None:
    contract = make_seller()
    issued = invoice(contract, "2023-11-01")
    use(contract, "2023-11-10", 1200)
    pay(issued, "40.00", "2023-11-20", received="50.00")
    recognise(through=NOVEMBER, now=at("2023-12-01"))

    report = ties(entity=contract.entity)

    assert [(tie.entity, tie.account, tie.currency, tie.ledger, tie.documents) for tie in report.rows] == [
        ("acme", "1100", "USD", D(50), D(50)),
        ("acme", "1150", "USD", D(12), D(12)),
        ("acme", "2100", "USD", D(0), D(0)),
        ("acme", "2160", "USD", D(10), D(10)),
    ]
    assert report.hold


def test_the_tax_of_invoices_and_credit_notes_ties_with_tax_payable() -> None:
    taxed()
    rate("19")
    contract = subscribed(fee(amount="100.00"))
    bill_and_issue("2023-11-01")
    end_subscription(subscription=contract.subscriptions.get(), at=date(2023, 11, 16), now=at("2023-11-02"))
    bill_and_issue("2023-11-16", now=at("2023-11-16"))
    post_documents(now=at("2023-12-01"))

    (tie,) = (tie for tie in ties().rows if tie.account == "2200")
    assert (tie.ledger, tie.documents, ties().hold) == (D("9.50"), D("9.50"), True)

    connection.check_constraints()  # what is deferred, before the table changes
    with transaction.atomic():
        sql("ALTER TABLE billing_invoicetax DISABLE TRIGGER ALL")
        sql("UPDATE billing_invoicetax SET tax = tax + 1 WHERE tax > 0")
        assert [(tie.account, tie.difference) for tie in ties().rows if tie.difference] == [("2200", D(-1))]
        transaction.set_rollback(True)


def test_ties_hold_at_the_posting_position_while_documents_wait() -> None:
    contract = make_seller()
    invoice(contract, "2023-11-01")
    post_documents(now=at("2023-11-02"))
    before = ties()

    invoice(make_seller(), "2023-11-01")

    assert ties() == before
    assert before.hold


def test_ties_show_what_differs() -> None:
    contract = make_seller()
    pay(invoice(contract, "2023-11-01"), "40.00", "2023-11-20")
    post_documents(now=at("2023-12-01"))
    entry = contract.obligations.get().journal_lines.get().entry
    lock_books()
    lines = (NewLine("1000", D(3), contract.customer_id), NewLine("1100", D(-3), contract.customer_id))
    post([NewEntry(entry.entity_id, entry.event, "by hand", "By hand", NOVEMBER, "USD", lines)], now=at("2023-12-01"))

    report = ties()

    assert not report.hold
    assert [(tie.account, tie.difference) for tie in report.rows if tie.difference] == [("1100", D(-3))]


def test_books_without_entries_have_an_empty_report() -> None:
    assert (ties().position, ties().rows, ties().hold) == (0, (), True)
    assert trial_balance(entity=make_entity(), month=NOVEMBER).rows == ()
