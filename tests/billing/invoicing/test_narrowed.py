"""Charges narrowed to a part of their meter, and charges priced by the hour or the day."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from billing.catalog.terms.services import set_term
from billing.metering.models import Meter
from billing.metering.rollups.services import build_missing, catch_up
from customers.models import Contract
from tests.factories import (
    NOW,
    amounts,
    bill,
    bill_and_issue,
    make_contract,
    make_meter,
    make_subscription,
    make_version,
    send_events,
    usage,
)

pytestmark = pytest.mark.django_db
LATE = datetime(2024, 12, 1, tzinfo=UTC)


def use(contract: Contract, time: str, tokens: int, **data: Any) -> None:
    send_events(subject=contract.customer.external_id, time=time, data={"tokens": tokens} | data, now=LATE)


def narrowed(contract: Contract, filters: dict[str, Any], counts: Any = None, **meter: Any) -> None:
    version = make_version(usage("tokens", make_meter(filters=counts or {}, **meter)))
    subscription = make_subscription(contract, version)
    set_term(
        subscription=subscription, kind="narrowing", value={"filters": filters}, code="tokens",
        start=contract.start, reason="Only Europe is ours to bill", user=None, now=NOW,
    )  # fmt: skip


@pytest.mark.parametrize("rolled_up", [True, False])
@pytest.mark.parametrize(
    ("filters", "billed"),
    [({"region": "eu"}, "3.00"), ({"region": {"not": ["eu"]}}, "6.00"), ({"size": 1}, "1.00"), ({"size": "x"}, "5.00")],
)
def test_it_works(filters: dict[str, Any], billed: str, rolled_up: bool) -> None:
    contract = make_contract()
    narrowed(contract, filters, group_by=["region", "size"])
    for tokens, data in ((100, {"region": "eu", "size": 1}), (200, {"region": "eu", "size": "1"}), (500, {"size": "x"}),
                         (100, {"region": "us"})):  # fmt: skip
        use(contract, "2023-11-10T12:00:00Z", tokens, **data)
    if rolled_up:
        build_missing()
        catch_up()
        assert Meter.objects.get().rollup_ready
    (draft,) = bill("2023-12-01")
    assert draft.total == Decimal(billed)


def test_a_meters_own_filter_holds_besides_on_the_same_property() -> None:
    contract = make_contract()
    narrowed(contract, {"region": {"not": ["us"]}}, counts={"region": ["eu", "us"]})
    for region in ("eu", "us", "asia"):
        use(contract, "2023-11-10T12:00:00Z", 100, region=region)
    (draft,) = bill("2023-12-01")
    assert draft.total == Decimal("1.00")


def test_each_day_is_priced_alone_in_the_contracts_zone() -> None:
    contract = make_contract(timezone="Asia/Tokyo")
    daily = {"model": "graduated", "tiers": [
        {"up_to": "100", "unit_amount": "0"}, {"up_to": None, "unit_amount": "0.01"}]}  # fmt: skip
    make_subscription(contract, make_version(usage(**daily) | {"window": "day"}))
    use(contract, "2023-11-05T14:59:00Z", 100)
    use(contract, "2023-11-05T15:00:00Z", 100)  # already the 6th in Tokyo: within that day's free 100
    use(contract, "2023-11-06T02:00:00Z", 300)
    (draft,) = bill("2023-12-01")
    (line,) = draft.lines.all()
    assert (line.amount, line.quantity) == (Decimal("3.00"), Decimal(500))
    assert [(step["label"], step["amount"]) for step in line.steps] == [
        ("2023-11-05: 100 tokens", "0"), ("2023-11-06: 400 tokens", "3")]  # fmt: skip


def test_peaks_of_hours_are_added_as_money_and_never_as_quantities() -> None:
    contract = make_contract()
    peak = make_meter("peak", aggregation="max", unit="gpu")
    make_subscription(
        contract, make_version(usage("peak", peak, model="per_unit", unit_amount="2") | {"window": "hour"})
    )
    for time, gpus in (("10:01", 3), ("10:59", 5), ("11:00", 4)):
        use(contract, f"2023-11-05T{time}:00Z", gpus)
    (draft,) = bill_and_issue("2023-12-01")
    (line,) = draft.lines.all()
    assert (line.amount, line.quantity, line.unit) == (Decimal("18.00"), None, "")
    assert [step["label"] for step in line.steps] == ["2023-11-05 10:00: 5 gpus", "2023-11-05 11:00: 4 gpus"]
    use(contract, "2023-11-05T11:30:00Z", 6)
    (second,) = bill("2024-01-01")
    assert amounts(second) == [("Peak", Decimal("0.00")), ("Peak", Decimal("4.00"))]


def test_a_day_without_usage_costs_what_nothing_costs() -> None:
    contract = make_contract()
    daily = {"model": "graduated", "tiers": [{"up_to": None, "unit_amount": "0.01", "flat_amount": "1"}]}
    make_subscription(contract, make_version(usage(**daily) | {"window": "day"}))
    use(contract, "2023-11-05T12:00:00Z", 100)
    (draft,) = bill("2023-12-01")
    (line,) = draft.lines.all()
    assert line.amount == Decimal("31.00")
    assert line.steps[-1]["label"] == "29 days without usage"
    assert date(2023, 11, 1) == contract.start
