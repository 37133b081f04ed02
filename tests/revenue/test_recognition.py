"""Revenue is target − posted: by day for fees, as used for usage, and nothing twice."""

from datetime import date

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from billing.catalog.services import end_subscription
from revenue.ledger.errors import MonthNotOver
from revenue.ledger.models import JournalEntry, Obligation, Recognition, ScheduleLine
from revenue.ledger.services import post_documents, preview_recognition, recognise
from revenue.reports.ties import ties
from tests.factories import (
    fee,
    make_contract,
    make_entity,
    make_meter,
    make_subscription,
    make_version,
    send_events,
    usage,
)
from tests.revenue.helpers import D, at, balance, close_by_hand, invoice, make_seller, posted, sides, use

pytestmark = pytest.mark.django_db
NOVEMBER, DECEMBER, JANUARY = date(2023, 11, 1), date(2023, 12, 1), date(2024, 1, 1)


def test_it_works() -> None:
    contract = make_seller()
    use(contract, "2023-11-10", 1200)
    invoice(contract, "2023-12-01")

    report = recognise(through=date(2023, 11, 17), now=at("2023-12-02"))

    assert (report.entries, report.amounts) == (2, {"USD": D("102.00")})
    (delivered,), (used,) = posted("service_delivered"), posted("usage_rated")
    assert sides(delivered) == [("2100", D("90.00")), ("4000", D("-90.00"))]
    assert sides(used) == [("1150", D("12.00")), ("4010", D("-12.00"))]
    assert {delivered.date, used.date} == {date(2023, 11, 30)}
    assert {delivered.origin_month, used.origin_month} == {NOVEMBER}
    assert used.memo == f"Usage in November 2023, contract {contract.number}"
    assert [(row.month, row.posted_in, row.amount) for row in report.months] == [
        (NOVEMBER, NOVEMBER, D("90.00")),
        (NOVEMBER, NOVEMBER, D("12.00")),
    ]
    assert ties().hold
    connection.check_constraints()


def test_a_second_run_posts_nothing() -> None:
    contract = make_seller()
    use(contract, "2023-11-10", 1200)
    invoice(contract, "2023-12-01")
    recognise(through=NOVEMBER, now=at("2023-12-02"))
    before = JournalEntry.objects.count()

    assert preview_recognition(through=NOVEMBER) == []
    assert recognise(through=NOVEMBER, now=at("2023-12-03")).entries == 0

    assert JournalEntry.objects.count() == before


def test_a_preview_says_what_would_be_posted_and_posts_nothing() -> None:
    contract = make_seller()
    use(contract, "2023-11-10", 1200)
    invoice(contract, "2023-12-01")
    post_documents(now=at("2023-12-02"))

    deltas = preview_recognition(through=NOVEMBER)

    assert sorted((delta.event, delta.month, delta.amount) for delta in deltas) == [
        ("service_delivered", NOVEMBER, D("90.00")),
        ("usage_rated", NOVEMBER, D("12.00")),
    ]
    assert not Recognition.objects.exists()


def test_usage_is_revenue_before_it_is_billed() -> None:
    contract = make_seller()
    use(contract, "2023-11-10", 1200)

    recognise(through=NOVEMBER, now=at("2023-12-01"))

    assert (balance("1150"), balance("4010")) == (D("12.00"), D("-12.00"))
    invoice(contract, "2023-12-01")
    recognise(through=NOVEMBER, now=at("2023-12-01"))
    assert (balance("1150"), balance("4010")) == (D(0), D("-12.00"))


def test_usage_of_a_cycle_across_two_months_is_revenue_of_the_month_it_was_used_in() -> None:
    contract = make_seller(anchor_day=16)
    use(contract, "2023-11-20", 1000)
    use(contract, "2023-12-10", 500)

    recognise(through=DECEMBER, now=at("2024-01-01"))

    assert (balance("4010", month="2023-11"), balance("4010", month="2023-12")) == (D("-10.00"), D("-5.00"))
    assert Obligation.objects.filter(kind="usage").count() == 1


def test_months_of_usage_are_cut_in_the_legal_entitys_zone() -> None:
    contract = make_seller(entity=make_entity("tokyo", timezone="Asia/Tokyo"))
    use(contract, "2023-11-10", 100)
    send_events(
        subject=contract.customer.external_id, time="2023-11-30T15:30:00Z", data={"tokens": 700}, now=at("2023-12-01")
    )

    recognise(through=DECEMBER, now=at("2024-01-01"))

    # 15:30 UTC is half past midnight of 1 December in Tokyo.
    assert (balance("4010", month="2023-11"), balance("4010", month="2023-12")) == (D("-1.00"), D("-7.00"))


def test_a_month_that_is_not_over_is_refused_in_the_entitys_zone() -> None:
    entity = make_entity("york", timezone="America/New_York")

    with pytest.raises(MonthNotOver, match=r"books of york .* ends at 2023-12-01 05:00 UTC"):
        recognise(through=NOVEMBER, now=at("2023-12-01T04:59"), entity=entity)

    assert recognise(through=NOVEMBER, now=at("2023-12-01T05:00"), entity=entity).entries == 0


def test_late_usage_of_a_closed_month_posts_in_the_earliest_open_one_and_names_its_own() -> None:
    contract = make_seller()
    use(contract, "2023-11-10", 1200)
    recognise(through=NOVEMBER, now=at("2023-12-01"))
    close_by_hand(contract.entity, "2023-11")
    use(contract, "2023-11-12", 300, now="2023-12-05")

    report = recognise(through=NOVEMBER, now=at("2023-12-06"))

    assert report.amounts == {"USD": D("3.00")}
    entry = posted("usage_rated")[-1]
    assert (entry.date, entry.period.month, entry.origin_month) == (DECEMBER, DECEMBER, NOVEMBER)
    recognised = Recognition.objects.order_by("revision").values_list("month", "revision", "posted_before", "target")
    assert list(recognised) == [
        (NOVEMBER, 1, D("0.00"), D("12.00")),
        (NOVEMBER, 2, D("12.00"), D("15.00")),
    ]


def test_late_usage_changes_the_month_it_was_used_in_not_the_next() -> None:
    contract = make_seller(anchor_day=16)
    use(contract, "2023-11-20", 1000)
    use(contract, "2023-12-10", 500)
    recognise(through=DECEMBER, now=at("2024-01-01"))
    use(contract, "2023-11-21", 200, now="2024-01-02")

    recognise(through=DECEMBER, now=at("2024-01-03"))

    totals = {month: sum(r.amount for r in Recognition.objects.filter(month=month)) for month in (NOVEMBER, DECEMBER)}
    assert totals == {NOVEMBER: D("12.00"), DECEMBER: D("5.00")}


def test_usage_that_is_no_longer_owed_is_taken_back() -> None:
    contract = make_seller()
    use(contract, "2023-11-20", 1000)
    recognise(through=NOVEMBER, now=at("2023-12-01"))
    end_subscription(subscription=contract.subscriptions.get(), at=date(2023, 11, 10), now=at("2023-12-02"))

    recognise(through=NOVEMBER, now=at("2023-12-03"))

    assert balance("4010") == 0
    assert preview_recognition(through=NOVEMBER) == []


def test_a_contract_that_cannot_be_read_keeps_what_was_recognised() -> None:
    contract = make_seller()
    use(contract, "2023-11-20", 1000)
    recognise(through=NOVEMBER, now=at("2023-12-01"))
    euros = make_version(usage("calls", make_meter("calls")), product="euro", plan="euro", currencies=["EUR"])
    odd = contract.subscriptions.create(product=euros.plan.product, code="odd")
    odd.intervals.create(version=euros, start=at("2023-12-01"), recorded_at=at("2023-12-01"))

    assert recognise(through=NOVEMBER, now=at("2023-12-03")).entries == 0

    assert balance("4010") == D("-10.00")


def test_a_fee_is_earned_by_day_over_the_months_it_serves() -> None:
    contract = make_contract(start=date(2023, 11, 16), anchor_day=16)
    make_subscription(contract, make_version(fee(amount="90.00")))
    invoice(contract, "2023-11-16")

    recognise(through=NOVEMBER, now=at("2023-12-01"))
    assert (balance("2100"), balance("4000")) == (D("-45.00"), D("-45.00"))

    recognise(through=DECEMBER, now=at("2024-01-01"))
    assert (balance("2100"), balance("4000")) == (D(0), D("-90.00"))
    assert ties().hold


def test_a_fee_in_arrears_is_revenue_of_the_months_it_served() -> None:
    contract = make_contract()
    make_subscription(contract, make_version(fee(amount="90.00", pay="in_arrears")))
    invoice(contract, "2023-12-01")

    recognise(through=DECEMBER, now=at("2024-01-01"))

    assert balance("4000", month="2023-11") == D("-90.00")


def test_a_plan_that_reschedules_is_reconciled_to_what_is_posted() -> None:
    contract = make_seller()
    invoice(contract, "2023-11-01")
    recognise(through=NOVEMBER, now=at("2023-12-01"))
    ScheduleLine.objects.update(month=JANUARY)  # derived, hence free to change: as if the service were in January

    recognise(through=JANUARY, now=at("2024-02-01"))

    assert balance("4000", month="2023-11") == 0
    assert balance("4000", month="2024-01") == D("-90.00")


def test_one_entry_holds_a_contracts_revenue_of_a_month_and_event() -> None:
    contract = make_contract()
    make_subscription(contract, make_version(fee(amount="90.00"), fee("support", "30.00"), usage()))
    other = make_seller()
    invoice(contract, "2023-11-01")
    invoice(other, "2023-11-01")

    recognise(through=NOVEMBER, now=at("2023-12-01"))

    assert len(posted("service_delivered")) == 2
    first = posted("service_delivered")[0]
    assert sides(first) == [("2100", D("90.00")), ("4000", D("-90.00")), ("2100", D("30.00")), ("4000", D("-30.00"))]
    assert first.recognitions.count() == 2


def test_one_entity_is_recognised_without_the_others() -> None:
    mine, yours = make_seller(entity=make_entity("mine")), make_seller(entity=make_entity("yours"))
    for contract in (mine, yours):
        use(contract, "2023-11-10", 100)

    recognise(through=NOVEMBER, now=at("2023-12-01"), entity=mine.entity)

    assert (balance("4010", mine.entity), balance("4010", yours.entity)) == (D("-1.00"), D(0))


def test_yen_are_recognised_without_places() -> None:
    contract = make_contract(currency="JPY", start=date(2023, 11, 11), anchor_day=11)
    make_subscription(contract, make_version(fee(amount="1000"), currencies=["JPY"]))
    invoice(contract, "2023-11-11")

    report = recognise(through=NOVEMBER, now=at("2023-12-01"))

    assert report.amounts == {"JPY": D("667")}


def test_the_number_of_queries_does_not_grow_with_the_contracts() -> None:
    def queries(contracts: int) -> int:
        for _ in range(contracts):
            contract = make_seller()
            use(contract, "2023-11-10", 100)
            use(contract, "2023-12-10", 100)
            invoice(contract, "2024-01-01")
        with CaptureQueriesContext(connection) as context:
            assert recognise(through=DECEMBER, now=at("2024-01-02")).entries == 4 * contracts
        return len(context)

    assert queries(2) == queries(7)
