"""Documents of billing become journal entries, once, in order."""

from datetime import date

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from billing.catalog.services import change_subscription
from billing.invoicing.models import Outbox
from billing.invoicing.taxes.services import set_rate
from customers.taxation.services import set_up_tax
from revenue.ledger.models import AccountingPeriod, JournalEntry, Obligation, Posting, ScheduleLine
from revenue.ledger.services import post_documents
from revenue.reports.ties import ties
from revenue.tasks import post_documents as task
from tests.factories import bill_and_issue, fee, make_contract, make_entity, make_subscription, make_version, usage
from tests.revenue.helpers import (
    D,
    at,
    balance,
    close_by_hand,
    invoice,
    make_seller,
    numbers_are_gapless,
    pay,
    posted,
    sides,
    use,
)

pytestmark = pytest.mark.django_db
NOW = at("2023-12-01")


def test_it_works() -> None:
    contract = make_seller()
    issued = invoice(contract, "2023-11-01")

    assert post_documents(now=NOW) == 1

    entry = JournalEntry.objects.get()
    assert sides(entry) == [("1100", D("90.00")), ("2100", D("-90.00"))]
    assert (entry.event, entry.date, entry.origin_month) == ("invoice_issued", date(2023, 11, 1), date(2023, 11, 1))
    assert (entry.number, entry.memo) == (1, f"Invoice {issued.number}")
    assert entry.posting.outbox.object_id == issued.pk
    connection.check_constraints()


def test_a_fee_becomes_an_obligation_with_its_schedule_by_day() -> None:
    contract = make_contract(start=date(2023, 11, 16), anchor_day=16)
    make_subscription(contract, make_version(fee(amount="90.00")))
    invoice(contract, "2023-11-16")

    post_documents(now=NOW)

    obligation = Obligation.objects.get()
    assert (obligation.kind, obligation.price, obligation.currency) == ("series_time", D("90.00"), "USD")
    assert (obligation.service_start, obligation.service_end) == (date(2023, 11, 16), date(2023, 12, 16))
    assert list(obligation.schedule.values_list("month", "amount", "cumulative")) == [
        (date(2023, 11, 1), D("45.00"), D("45.00")),
        (date(2023, 12, 1), D("45.00"), D("90.00")),
    ]
    assert list(obligation.journal_lines.values_list("account__code", flat=True)) == ["2100"]


def test_service_days_are_those_of_the_contracts_time_zone() -> None:
    contract = make_contract(timezone="America/Los_Angeles")
    make_subscription(contract, make_version(fee(amount="90.00")))
    invoice(contract, "2023-11-01", now="2023-11-01T09:00")

    post_documents(now=NOW)

    obligation = Obligation.objects.get()
    assert (obligation.service_start, obligation.service_end) == (date(2023, 11, 1), date(2023, 12, 1))
    assert [line.month for line in ScheduleLine.objects.all()] == [date(2023, 11, 1)]


def test_billed_usage_is_taken_from_the_unbilled_receivable() -> None:
    contract = make_seller()
    use(contract, "2023-11-10", 1200)
    invoice(contract, "2023-12-01")

    post_documents(now=NOW)

    entry = JournalEntry.objects.get()
    fees = [("2100", D("-90.00"))] * 2  # November's and December's
    assert sorted(sides(entry)) == [("1100", D("192.00")), ("1150", D("-12.00")), *fees]
    obligation = Obligation.objects.get(kind="usage")
    assert (obligation.service_start, obligation.service_end) == (date(2023, 11, 1), date(2023, 12, 1))
    assert obligation.price is None


def test_an_adjustment_of_usage_uses_the_same_obligation() -> None:
    contract = make_seller()
    use(contract, "2023-11-10", 1200)
    invoice(contract, "2023-12-01")
    use(contract, "2023-11-11", 300, now="2023-12-05")
    invoice(contract, "2024-01-01")

    assert post_documents(now=NOW) == 2

    assert Obligation.objects.filter(kind="usage").count() == 1
    assert balance("1150") == D("-15.00")


def test_a_credit_lands_on_the_other_side() -> None:
    contract = make_seller()
    subscription = contract.subscriptions.get()
    invoice(contract, "2023-11-01")
    cheaper = make_version(fee(amount="30.00"), usage(), plan="cheaper")
    change_subscription(subscription=subscription, at=date(2023, 11, 16), version=cheaper, now=at("2023-11-10"))
    use(contract, "2023-11-10", 10000)
    invoice(contract, "2023-12-01")

    post_documents(now=NOW)

    credit = Obligation.objects.get(price__lt=0)
    assert credit.price == D("-45.00")
    line = credit.journal_lines.get()
    assert (line.account.code, line.debit, line.credit) == ("2100", D("45.00"), D(0))
    assert ties().rows[0].difference == 0


def test_tax_is_owed_on() -> None:
    contract = make_seller()
    set_up_tax(entity=contract.entity, start=date(2023, 1, 1), reason="Registered.", now=at("2023-11-01"))
    set_rate(code="vat", name="VAT", country=contract.entity.country, percentage=D(19), start=date(2023, 1, 1),
             reason="The law.", now=at("2023-11-01"))  # fmt: skip
    invoice(contract, "2023-11-01")

    post_documents(now=NOW)

    assert sides(JournalEntry.objects.get()) == [("1100", D("107.10")), ("2100", D("-90.00")), ("2200", D("-17.10"))]
    assert ties(entity=contract.entity).hold


def test_a_document_of_zero_is_taken_without_an_entry() -> None:
    contract = make_contract()
    make_subscription(contract, make_version(usage()))
    invoice(contract, "2023-12-01")

    assert post_documents(now=NOW) == 1

    posting = Posting.objects.get()
    assert posting.entry is None
    assert not JournalEntry.objects.exists()
    assert post_documents(now=NOW) == 0


def test_a_payment_settles_receivables_and_keeps_the_rest_for_the_customer() -> None:
    contract = make_seller()
    issued = invoice(contract, "2023-11-01")
    pay(issued, "90.00", "2023-11-20", received="100.00")

    post_documents(now=NOW)

    (entry,) = posted("payment")
    assert sides(entry) == [("1000", D("100.00")), ("1100", D("-90.00")), ("2160", D("-10.00"))]
    assert entry.date == date(2023, 11, 20)
    assert entry.memo == f"Payment wire 7 of {issued.number}"
    assert balance("1100") == 0


def test_a_second_posting_finds_nothing() -> None:
    contract = make_seller()
    pay(invoice(contract, "2023-11-01"), "40.00", "2023-11-20")

    assert post_documents(now=NOW) == 2
    assert post_documents(now=NOW) == 0
    assert task() == 0

    assert JournalEntry.objects.count() == 2
    assert Posting.objects.count() == Outbox.objects.count() == 2


def test_positions_follow_the_outbox() -> None:
    for _ in range(4):
        pay(invoice(make_seller(), "2023-11-01"), "1.00", "2023-11-02")

    post_documents(now=NOW)

    taken = list(Posting.objects.order_by("position").values_list("outbox", flat=True))
    assert taken == sorted(taken)
    assert len(taken) == 8
    assert numbers_are_gapless()


def test_each_legal_entity_numbers_its_own_entries() -> None:
    for code in ("acme", "beta", "acme"):
        invoice(make_seller(entity=make_entity(code)), "2023-11-01")

    post_documents(now=NOW)

    assert numbers_are_gapless()
    assert JournalEntry.objects.filter(entity__code="acme").count() == 2


def test_what_concerns_a_closed_month_posts_in_the_earliest_open_one() -> None:
    contract = make_seller()
    invoice(contract, "2023-11-01")
    close_by_hand(contract.entity, "2023-11")
    close_by_hand(contract.entity, "2023-12")

    post_documents(now=NOW)

    entry = JournalEntry.objects.get()
    assert (entry.date, entry.period.month, entry.origin_month) == (
        date(2024, 1, 1),
        date(2024, 1, 1),
        date(2023, 11, 1),
    )


def test_a_month_before_a_closed_one_counts_as_closed_even_when_it_was_never_used() -> None:
    contract = make_seller()
    invoice(contract, "2023-11-01")
    close_by_hand(contract.entity, "2023-12")

    post_documents(now=NOW)

    assert JournalEntry.objects.get().period.month == date(2024, 1, 1)
    assert not AccountingPeriod.objects.filter(month=date(2023, 11, 1)).exists()


def test_the_number_of_queries_does_not_grow_with_the_documents() -> None:
    def queries(contracts: int) -> int:
        version = make_version(fee(), usage(), plan=f"bulk-{contracts}")
        made = [make_contract() for _ in range(contracts)]
        for contract in made:
            make_subscription(contract, version)
            use(contract, "2023-11-10", 500)
        for each in bill_and_issue("2023-12-01", *made, now=NOW):
            pay(each, "10.00", "2023-12-01")
        with CaptureQueriesContext(
            connection,
        ) as context:
            assert post_documents(now=NOW) == 2 * contracts
        return len(context)

    assert queries(2) == queries(9)
