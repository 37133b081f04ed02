"""Every price model through to lines: by dimensions, by events, by sums that the events carry."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from billing.catalog.changes.options import Options
from billing.catalog.services import change_subscription
from billing.catalog.terms.services import set_term
from billing.invoicing.models import Invoice, InvoiceLine, RunOutcome
from billing.invoicing.services import run_billing
from billing.metering.rollups.services import build_missing, catch_up
from customers.models import Contract
from revenue.ledger.services import close_period, post_documents
from revenue.ledger.ties import ties
from tests.billing.invoicing.test_whatif import under
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


def per_unit(amount: str) -> dict[str, str]:
    return {"model": "per_unit", "unit_amount": amount}


BY_MODEL: dict[str, Any] = {
    "model": "matrix",
    "dimensions": ["model"],
    "cells": [
        {"when": {"model": "large"}, "price": per_unit("0.10")},
        {"when": {"model": "small"}, "price": {"model": "graduated", "tiers": [
            {"up_to": "100", "unit_amount": "0.02"}, {"up_to": None, "unit_amount": "0.01"}]}},
    ],
    "default": per_unit("0.05"),
}  # fmt: skip
PAYMENTS: dict[str, Any] = {"model": "percentage", "rate": "2.9", "fixed_amount": "0.30"}


def use(contract: Contract, tokens: int | str, day: str = "2023-11-10", **data: Any) -> None:
    send_events(
        subject=contract.customer.external_id, time=f"{day}T12:00:00Z", data={"tokens": tokens} | data, now=LATE
    )


def subscribed(contract: Contract | None = None, meter: Any = None, **price: Any) -> Contract:
    contract = contract or make_contract()
    make_subscription(contract, make_version(usage("tokens", meter or make_meter(group_by=["model"]), **price)))
    return contract


@pytest.mark.parametrize("rolled_up", [True, False])
def test_it_works(rolled_up: bool) -> None:
    contract = subscribed(**BY_MODEL)
    for tokens, model in ((100, "large"), (50, "large"), (150, "small"), (10, "other")):
        use(contract, tokens, model=model)
    use(contract, 4)
    if rolled_up:
        build_missing()
        catch_up()
    (draft,) = bill_and_issue("2023-12-01")
    (line,) = draft.lines.all()
    assert (line.amount, line.quantity, line.unit) == (Decimal("18.20"), Decimal(314), "token")
    assert sum(Decimal(step["amount"]) for step in line.steps) == Decimal("18.20")
    use(contract, 100, model="small")
    (second,) = bill("2024-01-01")
    assert amounts(second) == [("Tokens", Decimal("0.00")), ("Tokens", Decimal("1.00"))]


def test_cells_of_a_maximum_are_rated_each_by_itself_and_never_added() -> None:
    peak = make_meter("peak", aggregation="max", unit="gpu", group_by=["model"])
    contract = subscribed(meter=peak, **BY_MODEL)
    for gpus, model in ((5, "large"), (3, "large"), (7, "other")):
        use(contract, gpus, model=model)
    (draft,) = bill("2023-12-01")
    (line,) = draft.lines.all()
    assert (line.amount, line.quantity, line.unit) == (Decimal("0.85"), None, "")


def test_a_combination_without_a_price_holds_the_contract_and_no_other() -> None:
    strict = BY_MODEL | {"default": None}
    contract, other = subscribed(**strict), make_contract()
    make_subscription(other, contract.subscriptions.get().intervals.get().version)
    use(contract, 10, model="unheard-of")
    use(other, 10, model="large")
    assert [draft.contract for draft in bill("2023-12-01")] == [other]
    assert "unheard-of has no price" in RunOutcome.objects.get(result="held").reason
    assert "unheard-of has no price" in under({}, contract)[0].problem


def test_a_share_of_each_payment_and_a_fixed_part_need_only_sums() -> None:
    contract = subscribed(**PAYMENTS)
    for paid in ("10.00", "20.50", "100.00"):
        use(contract, paid)
    (draft,) = bill("2023-12-01")
    assert draft.total == Decimal("4.68")  # 2.9 % of 130.50 is 3.7845, and three times 0.30


def test_bounds_of_each_payment_are_taken_event_by_event_in_order_of_time() -> None:
    contract = subscribed(**PAYMENTS, free_amount="15", maximum_per_event="1.00")
    use(contract, "100.00", day="2023-11-12")  # 2.9 % of it and 0.30 are more than 1.00
    use(contract, "10.00", day="2023-11-10")  # free
    use(contract, "20.00", day="2023-11-11")  # 2.9 % of 15.00, and 0.30
    (draft,) = bill("2023-12-01")
    assert draft.total == Decimal("1.74")  # 0 and 0.735 and 1.00


def test_prices_that_events_carry_are_added_and_multiplied() -> None:
    contract = subscribed(model="dynamic", multiplier="1.2")
    for price in ("0.0011", "0.25"):
        use(contract, price)
    (draft,) = bill("2023-12-01")
    assert draft.total == Decimal("0.30")


def test_queries_grow_neither_with_contracts_nor_with_cells() -> None:
    version = make_version(
        usage("tokens", make_meter(group_by=["model"]), **BY_MODEL),
        usage("calls", make_meter("calls", aggregation="count", value=""), **per_unit("1")) | {"window": "day"},
        usage("pay", make_meter("pay"), **PAYMENTS, minimum_per_event="0.01", minimum_amount="5"),
    )
    counts = []
    for size in (1, 3, 12):  # the first lets everything be remembered that is asked once a process
        with transaction.atomic():
            for number in range(size):
                contract = make_contract()
                make_subscription(contract, version)
                for day in range(1, 4 + number):
                    use(contract, 50, day=f"2023-11-{day:02}", model=f"m{day}")
            with CaptureQueriesContext(connection) as queries:
                run_billing(as_of=date(2023, 12, 1), now=NOW)
            counts.append(len(queries))
            assert RunOutcome.objects.filter(result="drafted").count() == size
            transaction.set_rollback(True)
    assert counts[1] == counts[2]


def test_the_close_of_a_month_ties_out_and_a_second_run_is_empty() -> None:
    contract = make_contract()
    make_subscription(contract, make_version(
        usage("tokens", make_meter(group_by=["model"]), **BY_MODEL),
        usage("pay", make_meter("pay"), **PAYMENTS, minimum_per_event="0.01", minimum_amount="500"),
        usage("daily", make_meter("daily", aggregation="max"), **per_unit("0.01")) | {"window": "day"},
    ))  # fmt: skip
    for day in (3, 17, 29):
        use(contract, 100 * day, day=f"2023-11-{day:02}", model="large")
    bill_and_issue("2023-12-01", now=LATE)
    post_documents(now=LATE)
    close_period(entity=contract.entity, month=date(2023, 11, 1), user=None, now=LATE, recognise_first=True)
    assert ties().hold
    use(contract, 1000, day="2023-11-30", model="small")
    bill_and_issue("2024-01-01", now=LATE)
    post_documents(now=LATE)
    close_period(entity=contract.entity, month=date(2023, 12, 1), user=None, now=LATE, recognise_first=True)
    assert ties().hold
    assert bill("2024-01-01") == []
    assert not Invoice.objects.exclude(state="issued").exists()
    assert InvoiceLine.objects.filter(kind="minimum").count() >= 2


TIERED: dict[str, Any] = {"model": "graduated", "free_quantity": "50", "discounts": [{"amount": "2"}], "tiers": [
    {"up_to": "100", "unit_amount": "0.10", "flat_amount": "1"}, {"up_to": None, "unit_amount": "0.04"}]}  # fmt: skip


def test_tiers_and_allowances_go_on_where_a_customers_terms_change_the_price_in_the_middle() -> None:
    contract = subscribed(**TIERED)
    set_term(
        subscription=contract.subscriptions.get(), kind="factor", value={"factor": "0.5"}, code="tokens",
        start=date(2023, 11, 16), reason="Half price", user=None, now=NOW,
    )  # fmt: skip
    use(contract, 120, day="2023-11-10")  # 50 are free, 70 cost 7.00 with a flat 1.00, less 2.00: 6.00
    use(contract, 80, day="2023-11-20")  # the other 30 of the first tier at 0.05, and 50 above at 0.02: 2.50
    (draft,) = bill("2023-12-01")
    (line,) = draft.lines.all()
    assert (line.amount, line.quantity) == (Decimal("8.50"), Decimal(200))
    assert line.steps[-1]["label"] == "Used before the change"
    assert sum(Decimal(step["amount"]) for step in line.steps) == line.amount


@pytest.mark.parametrize(("tiers", "total"), [("", "11.00"), ("continue", "11.00"), ("restart", "8.00")])
def test_a_new_version_of_the_same_tiers_goes_on_with_them_unless_it_begins_them_anew(tiers: Any, total: str) -> None:
    contract = subscribed(**TIERED)
    again = make_version(usage("tokens", make_meter(), **TIERED | {"free_quantity": "50.0", "flat_at_zero": False}))
    change_subscription(subscription=contract.subscriptions.get(), at=date(2023, 11, 16), version=again, now=NOW,
                        options=Options(tiers=tiers))  # fmt: skip
    use(contract, 120, day="2023-11-10")
    use(contract, 80, day="2023-11-20")  # begun anew, 50 are free again; 30 cost 3.00 and the flat 1.00, less 2.00
    (draft,) = bill("2023-12-01")
    assert draft.total == Decimal(total)
