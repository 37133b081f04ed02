"""Customers' own terms through to the invoice line: what is agreed is what the next run bills."""

from datetime import date
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from billing.catalog.models import Charge
from billing.catalog.terms.errors import TermsError
from billing.catalog.terms.services import add_charge, end_term, make_ramp, remove_charge, undo_term
from billing.catalog.units.models import ConversionRate, CustomUnit
from billing.invoicing.facts import terms_of
from billing.invoicing.models import Invoice
from customers.models import Contract
from tests.billing.catalog.terms.helpers import WHY, agree, per_unit, subscribed, use
from tests.factories import (
    amounts,
    bill,
    bill_and_issue,
    fee,
    make_contract,
    make_meter,
    make_subscription,
    make_version,
    usage,
)

pytestmark = pytest.mark.django_db


def figures(invoice: Invoice) -> list[str]:
    return [f"{amount:.2f}" for _, amount in amounts(invoice)]


def test_it_works() -> None:
    """A price that is replaced in the middle of a cycle splits usage at the instant."""
    subscription = subscribed(usage())
    agree(subscription, "price", "tokens", "2023-11-16", price=per_unit("0.02"))
    use(subscription, "2023-11-15", 100)
    use(subscription, "2023-11-16", 100)
    (draft,) = bill("2023-12-01")
    (line,) = draft.lines.all()
    assert (line.amount, line.quantity) == (Decimal("3.00"), Decimal(200))
    assert sum(Decimal(step["amount"]) for step in line.steps) == line.amount


def test_a_percentage_for_three_periods_ends_with_the_third() -> None:
    subscription = subscribed(fee())
    term = agree(subscription, "discount", "platform", "2023-11-10", percentage="10", periods=3)
    assert (f"{term.start:%m-%d}", f"{term.end:%m-%d}") == ("11-10", "02-01")
    issued = [bill_and_issue(day)[0] for day in ("2023-12-01", "2024-01-01", "2024-02-01")]
    assert [figures(each) for each in issued] == [["30.00", "63.00", "90.00"], ["90.00"], ["100.00"]]


def test_a_removed_charge_credits_its_fee_and_comes_back_when_the_removal_is_undone() -> None:
    subscription = subscribed(fee(), usage())
    bill_and_issue("2023-11-01")
    use(subscription, "2023-11-05", 9000)
    term = remove_charge(subscription=subscription, code="platform", start=date(2023, 11, 16), **WHY)
    (draft,) = bill("2023-12-01")
    assert figures(draft) == ["90.00", "-50.00"]
    undo_term(term=term, **WHY)
    (draft,) = bill("2023-12-01")
    assert sorted(figures(draft)) == ["100.00", "90.00"]


def test_an_added_fee_is_billed_from_its_day_on() -> None:
    subscription = subscribed(fee())
    support = Charge(name="Premium support", kind="recurring", pay="in_advance", position=5)
    add_charge(
        subscription=subscription, code="support", charge=support, price={"model": "flat", "amount": "60"},
        start=date(2023, 11, 16), end=date(2024, 1, 1), **WHY,
    )  # fmt: skip
    (draft,) = bill("2024-01-01")
    assert amounts(draft) == [
        ("Platform", Decimal("100.00")), ("Platform", Decimal("100.00")), ("Platform", Decimal("100.00")),
        ("Premium support", Decimal("30.00")), ("Premium support", Decimal("60.00")),
    ]  # fmt: skip


def test_an_added_usage_charge_rates_its_meter() -> None:
    subscription = subscribed(fee())
    charge = Charge(name="Tokens", kind="usage", pay="in_arrears", meter=make_meter())
    add_charge(
        subscription=subscription, code="tokens", charge=charge, price=per_unit("0.05"), start=date(2023, 11, 16), **WHY
    )
    use(subscription, "2023-11-15", 100)
    use(subscription, "2023-11-16", 100)
    (draft,) = bill("2023-12-01")
    assert ("Tokens", Decimal("5.00")) in amounts(draft)


def test_seats_that_change_by_date_are_credited_and_charged_by_the_day() -> None:
    seats = {"code": "seats", "kind": "recurring", "price": per_unit("30")}
    subscription = subscribed(seats, quantity=Decimal(2))
    bill_and_issue("2023-11-01")
    agree(subscription, "quantity", "seats", "2023-11-21", quantity="5")
    (draft,) = bill("2023-11-21")
    assert figures(draft) == ["50.00", "-20.00"]


def test_a_correction_of_the_past_credits_and_charges_the_difference() -> None:
    subscription = subscribed(fee(), usage())
    use(subscription, "2023-11-10", 1000)
    bill_and_issue("2023-12-01")
    terms = [
        agree(subscription, "price", "tokens", price=per_unit("0.03")),
        agree(subscription, "factor", "platform", factor="0.9"),
    ]
    (draft,) = bill("2023-12-01")
    assert sorted(figures(draft)) == ["-100.00", "-100.00", "20.00", "90.00", "90.00"]
    for term in terms:
        undo_term(term=term, **WHY)
    assert bill("2023-12-01") == []


def test_a_ramp_bills_each_step() -> None:
    subscription = subscribed(fee())
    days = [date(2023, 11, 1), date(2023, 12, 1), date(2024, 1, 1)]
    prices = [{"price": {"model": "flat", "amount": amount}} for amount in ("10", "20", "30")]
    rows = make_ramp(
        subscription=subscription, kind="price", code="platform", steps=list(zip(days, prices, strict=True)),
        end=date(2024, 2, 1), **WHY,
    )  # fmt: skip
    assert [(row.step, row.steps) for row in rows] == [(1, 3), (2, 3), (3, 3)]
    (draft,) = bill("2024-02-01")
    assert figures(draft) == ["10.00", "20.00", "30.00", "100.00"]


def test_tiers_allowances_and_discounts_apply_in_their_order() -> None:
    graduated = {"model": "graduated", "tiers": [
        {"up_to": "100", "unit_amount": "0.10"}, {"up_to": None, "unit_amount": "0.01"}]}  # fmt: skip
    subscription = subscribed(usage(**graduated))
    agree(subscription, "discount", "tokens", amount="1")
    agree(subscription, "discount", percentage="50")
    agree(subscription, "discount", "tokens", quantity="5")
    agree(subscription, "allowance", "tokens", quantity="15")
    agree(subscription, "factor", factor="2")
    agree(subscription, "tiers", "tokens", tiers=[{"up_to": "100", "unit_amount": "0.20"}])
    use(subscription, "2023-11-10", 220)  # less 20 free: 100 at 0.40 and 100 at 0.02; less 1; less half
    (draft,) = bill("2023-12-01")
    assert figures(draft) == ["20.50"]


def test_another_meter_counts_from_its_day_on() -> None:
    subscription = subscribed(usage())
    agree(subscription, "meter", "tokens", "2023-11-16", meter=make_meter("calls", aggregation="count", value=""))
    use(subscription, "2023-11-10", 100)
    use(subscription, "2023-11-20", 100)
    (draft,) = bill("2023-12-01")
    assert figures(draft) == ["1.01"]


def test_a_term_that_ends_earlier_leaves_what_it_did_before() -> None:
    subscription = subscribed(fee())
    term = agree(subscription, "factor", factor="0.5")
    end_term(term=term, at=date(2023, 12, 1), **WHY)
    (draft,) = bill("2023-12-01")
    assert figures(draft) == ["50.00", "100.00"]


def test_a_minimum_and_a_maximum_of_a_charge_hold_for_its_period() -> None:
    subscription = subscribed(usage())
    agree(subscription, "minimum", "tokens", amount="5", end="2023-12-01")
    agree(subscription, "maximum", "tokens", "2023-12-01", amount="7")
    use(subscription, "2023-11-10", 100)
    use(subscription, "2023-12-10", 1000)
    (draft,) = bill("2024-01-01")
    assert figures(draft) == ["1.00", "4.00", "7.00"]


def test_a_charge_narrowed_to_a_region_counts_that_region_only() -> None:
    subscription = subscribed(usage())
    agree(subscription, "narrowing", "tokens", filters={"region": ["eu", "us"]})
    use(subscription, "2023-11-10", 100, region="eu")
    use(subscription, "2023-11-11", 1000, region="apac")
    (draft,) = bill("2023-12-01")
    assert figures(draft) == ["1.00"]


def test_a_custom_unit_is_worth_what_its_rate_says_at_the_time() -> None:
    credits_ = CustomUnit.objects.create(code="credits", name="Credits", places=2)
    for day, rate in (("2023-11-01", "0.01"), ("2023-11-16", "0.02")):
        ConversionRate.objects.create(
            unit=credits_, currency="USD", rate=Decimal(rate), valid_from=date.fromisoformat(day)
        )
    in_credits = per_unit("3") | {"custom_unit": {"code": "credits", "places": 2}}
    subscription = subscribed(usage())
    agree(subscription, "price", "tokens", price=in_credits)
    use(subscription, "2023-11-15", 100)
    use(subscription, "2023-11-16", 100)
    (draft,) = bill("2023-12-01")
    assert figures(draft) == ["9.00"]


def test_a_unit_without_a_rate_cannot_be_agreed() -> None:
    in_tokens = per_unit("3") | {"custom_unit": {"code": "gold", "places": 2}}
    with pytest.raises(TermsError, match="“Tokens” is priced in gold, which have no rate in USD"):
        agree(subscribed(usage()), "price", "tokens", price=in_tokens)


def test_a_factor_reaches_into_the_cells_of_a_matrix() -> None:
    matrix = {"model": "matrix", "dimensions": ["model"], "cells": [
        {"when": {"model": "large"}, "price": per_unit("0.10")}], "default": per_unit("0.02")}  # fmt: skip
    subscription = subscribed(usage("tokens", make_meter(group_by=["model"]), **matrix))
    agree(subscription, "factor", "tokens", factor="0.5")
    use(subscription, "2023-11-10", 100, model="large")
    use(subscription, "2023-11-10", 100, model="small")
    (draft,) = bill("2023-12-01")
    assert figures(draft) == ["6.00"]


def test_queries_do_not_grow_with_the_terms_and_none_are_added_without_them() -> None:
    version, counts = make_version(fee(), usage()), []
    for size in (0, 1, 6):
        for _ in range(size or 1):
            subscription = make_subscription(make_contract(), version)
            if size:
                agree(subscription, "price", "tokens", "2023-11-16", price=per_unit("0.02"))
                charge = Charge(name="Support", kind="recurring", pay="in_advance")
                add_charge(
                    subscription=subscription, code="support", charge=charge, price={"model": "flat", "amount": "1"},
                    start=date(2023, 11, 16), **WHY,
                )  # fmt: skip
        with CaptureQueriesContext(connection) as queries:
            terms_of(list(Contract.objects.all()))
        counts.append(len(queries))
    assert counts == [9, 11, 11]  # the first of them lists the contracts
