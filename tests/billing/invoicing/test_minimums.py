"""A minimum of a charge: a line of its own once the cycle is complete, prorated when cut short, taken back when met."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from billing.catalog.models import Subscription
from billing.catalog.services import change_subscription, end_subscription
from billing.catalog.terms.services import set_term
from billing.invoicing.models import InvoiceLine
from billing.periods import Period
from customers.models import Contract
from revenue.ledger.models import Recognition
from revenue.ledger.services import close_period, post_documents
from revenue.ledger.ties import ties
from tests.billing.invoicing.test_whatif import under
from tests.factories import (
    NOW,
    amounts,
    bill,
    bill_and_issue,
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


def at_least(amount: str, contract: Contract | None = None, unit_amount: str = "0.01") -> Subscription:
    contract = contract or make_contract()
    priced = usage(model="per_unit", unit_amount=unit_amount, minimum_amount=amount)
    return make_subscription(contract, make_version(priced))


def test_it_works() -> None:
    contract = at_least("50").contract
    use(contract, "2023-11-10", 1234)
    (first,) = bill_and_issue("2023-12-01")
    assert amounts(first) == [("Tokens", Decimal("12.34")), ("Tokens: minimum", Decimal("37.66"))]
    line = first.lines.get(kind="minimum")
    assert [(step["label"], step["amount"]) for step in line.steps] == [
        ("Minimum for the period: USD 50.00", "50"), ("Usage billed by itself", "-12.34")]  # fmt: skip
    assert (line.quantity, line.unit) == (None, "")
    assert bill("2023-12-01") == []


def test_usage_beyond_it_leaves_no_line() -> None:
    contract = at_least("50").contract
    use(contract, "2023-11-10", 5000)
    (first,) = bill("2023-12-01")
    assert amounts(first) == [("Tokens", Decimal("50.00"))]


def test_late_usage_takes_back_what_was_lifted() -> None:
    contract = at_least("50").contract
    use(contract, "2023-11-10", 1000)
    bill_and_issue("2023-12-01")
    use(contract, "2023-11-20", 5000)
    use(contract, "2023-12-20", 9000)
    (second,) = bill_and_issue("2024-01-01")
    assert amounts(second) == [
        ("Tokens", Decimal("90.00")), ("Tokens", Decimal("50.00")), ("Tokens: minimum", Decimal("-40.00"))]  # fmt: skip
    assert bill("2024-01-01") == []


def test_a_cycle_that_is_cut_short_has_a_part_of_it() -> None:
    subscription = at_least("60", make_contract(start=date(2023, 11, 16), anchor_day=1))
    end_subscription(subscription=subscription, at=date(2023, 12, 2), now=NOW)
    (draft,) = bill("2024-01-01")
    assert amounts(draft) == [
        ("Tokens", Decimal("0.00")), ("Tokens: minimum", Decimal("30.00")),
        ("Tokens", Decimal("0.00")), ("Tokens: minimum", Decimal("1.94"))]  # fmt: skip


def test_one_minimum_holds_over_a_change_of_price_in_the_middle() -> None:
    subscription = at_least("60")
    dearer = make_version(usage(model="per_unit", unit_amount="0.02", minimum_amount="30"))
    change_subscription(subscription=subscription, at=date(2023, 11, 11), version=dearer, now=NOW)
    use(subscription.contract, "2023-11-05", 1500)  # 15.00 of the first ten days, whose share of the minimum is 20.00
    use(subscription.contract, "2023-11-15", 1000)  # 20.00 of the twenty after, whose share is 20.00 too
    (draft,) = bill("2023-12-01")
    assert amounts(draft) == [("Tokens", Decimal("35.00")), ("Tokens: minimum", Decimal("5.00"))]


def test_a_minimum_agreed_later_is_charged_for_the_past() -> None:
    contract = make_contract()
    subscription = make_subscription(contract, make_version(usage()))
    use(contract, "2023-11-10", 1000)
    bill_and_issue("2023-12-01")
    set_term(
        subscription=subscription, kind="minimum", value={"amount": "25"}, code="tokens", start=contract.start,
        reason="Agreed by mail", user=None, now=NOW,
    )  # fmt: skip
    (second,) = bill_and_issue("2023-12-01")
    assert amounts(second) == [("Tokens: minimum", Decimal("15.00"))]


def test_what_if_shows_it() -> None:
    contract = at_least("50").contract
    use(contract, "2023-11-10", 1234)
    (result,) = under({}, contract)
    assert [(line.kind, line.amount) for line in result.lines] == [
        ("usage", Decimal("12.34")), ("minimum", Decimal("37.66"))]  # fmt: skip
    half = Period(datetime(2023, 11, 1, tzinfo=UTC), datetime(2023, 11, 16, tzinfo=UTC))
    assert under({}, contract, period=half)[0].lines == []


def test_its_revenue_belongs_to_the_month_in_which_the_cycle_is_complete_and_the_close_ties_out() -> None:
    contract = at_least("50", make_contract(anchor_day=15)).contract
    use(contract, "2023-11-10", 1000)
    bill_and_issue("2023-12-15", now=LATE)
    post_documents(now=LATE)
    for month in (date(2023, 11, 1), date(2023, 12, 1)):
        close_period(entity=contract.entity, month=month, user=None, now=LATE, recognise_first=True)
    assert ties().hold
    minimum = Recognition.objects.filter(obligation__slot__kind="minimum").values_list("month", "amount")
    assert sorted(minimum) == [(date(2023, 11, 1), Decimal("12.58")), (date(2023, 12, 1), Decimal(50))]
    assert InvoiceLine.objects.filter(kind="minimum").count() == 2
