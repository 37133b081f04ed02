"""Charges with a cadence or a proration of their own: their cycles, and what was billed stays cut as it was."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from billing.catalog.changes.options import Options
from billing.catalog.services import change_subscription
from billing.invoicing.models import InvoiceLine
from customers.models import Contract
from revenue.ledger.models import Recognition
from revenue.ledger.services import close_period, post_documents
from revenue.ledger.ties import ties
from tests.factories import (
    NOW,
    amounts,
    bill,
    bill_and_issue,
    fee,
    make_contract,
    make_subscription,
    make_version,
    send_events,
    usage,
)

pytestmark = pytest.mark.django_db
LATE = datetime(2024, 12, 1, tzinfo=UTC)


def use(contract: Contract, day: str, tokens: int) -> None:
    send_events(subject=contract.customer.external_id, time=f"{day}T12:00:00Z", data={"tokens": tokens}, now=LATE)


def cycles() -> list[tuple[str, str, Decimal]]:
    """First day, end and Σ of each slot."""
    found: dict[tuple[str, str], Decimal] = {}
    for line in InvoiceLine.objects.filter(slot__isnull=False).select_related("slot").order_by("slot__cycle_start"):
        assert line.slot
        assert line.slot.cycle_start
        assert line.slot.cycle_end
        key = f"{line.slot.cycle_start:%m-%d}", f"{line.slot.cycle_end:%m-%d}"
        found[key] = found.get(key, Decimal(0)) + line.amount
    return [(*key, amount) for key, amount in found.items()]


def test_usage_is_billed_monthly_while_the_fee_is_yearly() -> None:
    contract = make_contract(cadence="P1Y")
    make_subscription(contract, make_version(fee(amount="1200"), usage() | {"cadence": "P1M"}))
    use(contract, "2023-11-10", 100)
    use(contract, "2023-12-10", 200)
    (first,) = bill_and_issue("2023-12-01")
    assert amounts(first) == [("Platform", Decimal("1200.00")), ("Tokens", Decimal("1.00"))]
    (second,) = bill_and_issue("2024-01-01")
    assert amounts(second) == [("Tokens", Decimal("2.00"))]
    assert bill("2024-01-01") == []


def test_a_quarterly_charge_on_a_monthly_contract_falls_due_every_third_month() -> None:
    contract = make_contract()
    version = make_version(fee(amount="300", cadence="P3M"), usage() | {"cadence": "P3M"}, fee("seats", "10"))
    make_subscription(contract, version)
    use(contract, "2023-12-24", 500)
    (november,) = bill_and_issue("2023-11-01")
    assert amounts(november) == [("Platform", Decimal("300.00")), ("Seats", Decimal("10.00"))]
    assert [amounts(each) for each in bill_and_issue("2024-01-01")] == [
        [("Seats", Decimal("10.00")), ("Seats", Decimal("10.00"))]]  # fmt: skip
    (february,) = bill_and_issue("2024-02-01")
    assert amounts(february) == [
        ("Platform", Decimal("300.00")), ("Tokens", Decimal("5.00")), ("Seats", Decimal("10.00"))]  # fmt: skip


def test_weeks_on_a_contract_anchored_on_a_day_of_the_month_count_from_its_start() -> None:
    contract = make_contract(anchor_day=15)
    make_subscription(contract, make_version(usage() | {"cadence": "P1W"}))
    use(contract, "2023-11-07", 100)
    use(contract, "2023-11-08", 700)
    bill_and_issue("2023-11-15")
    assert cycles() == [("11-01", "11-08", Decimal(1)), ("11-08", "11-15", Decimal(7))]


def test_a_new_cadence_ends_the_running_cycle_and_begins_another() -> None:
    contract = make_contract()
    subscription = make_subscription(contract, make_version(usage()))
    change_subscription(
        subscription=subscription, at=date(2023, 12, 16), version=make_version(usage() | {"cadence": "P3M"}),
        options=Options(anchor="kept"), now=NOW,
    )  # fmt: skip
    for day, tokens in (("2023-12-15", 100), ("2023-12-16", 1000), ("2024-01-31", 3000)):
        use(contract, day, tokens)
    bill_and_issue("2024-02-01")
    assert cycles() == [
        ("11-01", "12-01", Decimal(0)), ("12-01", "12-16", Decimal(1)), ("12-16", "02-01", Decimal(40))]  # fmt: skip
    assert bill("2024-02-01") == []


def test_a_cycle_that_was_issued_is_never_cut_again() -> None:
    contract = make_contract()
    subscription = make_subscription(contract, make_version(usage()))
    for day, tokens in (("2023-12-15", 100), ("2023-12-16", 1000), ("2024-01-31", 3000)):
        use(contract, day, tokens)
    bill_and_issue("2024-01-01")
    dearer = make_version(usage(model="per_unit", unit_amount="0.02") | {"cadence": "P3M"})
    kept = Options(anchor="kept")
    change_subscription(subscription=subscription, at=date(2023, 12, 16), version=dearer, options=kept, now=NOW)
    bill_and_issue("2024-02-01")
    assert cycles() == [
        ("11-01", "12-01", Decimal(0)), ("12-01", "01-01", Decimal(21)), ("01-01", "02-01", Decimal(60))]  # fmt: skip
    change_subscription(subscription=subscription, at=date(2023, 12, 16), version=make_version(usage()), now=NOW)
    use(contract, "2024-02-10", 9000)  # more than what is credited
    bill_and_issue("2024-03-01")
    assert cycles()[1:3] == [("12-01", "01-01", Decimal(11)), ("01-01", "02-01", Decimal(30))]
    assert bill("2024-03-01") == []


def test_a_charge_is_prorated_in_its_own_way() -> None:
    contract = make_contract(start=date(2023, 11, 16), anchor_day=1)
    make_subscription(contract, make_version(fee(), fee("seats", "100", proration="none")))
    (draft,) = bill("2023-11-16")
    assert amounts(draft) == [("Platform", Decimal("50.00")), ("Seats", Decimal("100.00"))]


def test_a_credit_goes_by_the_cadence_that_was_billed() -> None:
    contract = make_contract()
    subscription = make_subscription(contract, make_version(fee(amount="1200", cadence="P1Y")))
    bill_and_issue("2023-11-01")
    change_subscription(
        subscription=subscription, at=date(2024, 5, 1), version=make_version(fee(amount="900")), now=NOW
    )
    (second,) = bill_and_issue("2024-05-01")
    assert amounts(second) == [("Platform", Decimal("900.00")), ("Platform", Decimal("-603.28"))]  # 184 of 366 days


def test_revenue_of_quarterly_usage_is_recognised_in_the_months_of_use_and_the_close_ties_out() -> None:
    contract = make_contract()
    make_subscription(contract, make_version(fee(amount="300", cadence="P3M"), usage() | {"cadence": "P3M"}))
    use(contract, "2023-11-24", 500)
    use(contract, "2024-01-24", 700)
    bill_and_issue("2024-02-01", now=LATE)
    post_documents(now=LATE)
    for month in (date(2023, 11, 1), date(2023, 12, 1), date(2024, 1, 1)):
        close_period(entity=contract.entity, month=month, user=None, now=LATE, recognise_first=True)
    assert ties().hold
    earned = Recognition.objects.filter(obligation__kind="usage").values_list("month", "amount")
    assert sorted(earned) == [(date(2023, 11, 1), Decimal(5)), (date(2024, 1, 1), Decimal(7))]


def test_a_change_of_cadence_restarts_the_cycle_at_its_instant_unless_told_otherwise() -> None:
    contract = make_contract()
    subscription = make_subscription(contract, make_version(usage()))
    quarterly = make_version(usage() | {"cadence": "P3M"})
    change_subscription(subscription=subscription, at=date(2023, 12, 16), version=quarterly, now=NOW)
    use(contract, "2023-12-16", 1000)
    bill_and_issue("2024-03-15")
    assert [cycle[:2] for cycle in cycles()] == [("11-01", "12-01"), ("12-01", "12-16")]
    bill_and_issue("2024-03-16")
    assert cycles()[-1] == ("12-16", "03-16", Decimal(10))
