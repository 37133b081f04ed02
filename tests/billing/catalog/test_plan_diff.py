"""Two versions of a plan differ in words that RevOps would use."""

from typing import Any

import pytest

from billing.catalog.plan_diff import differences
from billing.catalog.plan_values import PlanFile, read_plan

UNITS = {"input": "token", "storage": "GB"}


def plan(*charges: dict[str, Any]) -> PlanFile:
    return read_plan(
        {"product": {"code": "api", "name": "API"}, "plan": {"code": "pro", "name": "Pro"}, "charges": list(charges)}
    )


def tokens(amount: str = "3", **fields: Any) -> dict[str, Any]:
    price = {"model": "per_unit", "unit_amount": amount, "unit": {"divide_by": "1000000"}}
    return {"code": "input", "name": "Input tokens", "kind": "usage", "meter": "input", "prices": [price]} | fields


def fee(**fields: Any) -> dict[str, Any]:
    price = {"model": "flat", "amount": "100"}
    return {"code": "platform", "name": "Platform", "kind": "recurring", "prices": [price]} | fields


def tiered(*tiers: tuple[str | None, str], **price: Any) -> dict[str, Any]:
    rows = [{"up_to": bound, "unit_amount": amount} for bound, amount in tiers]
    return tokens(prices=[{"model": "graduated", "tiers": rows} | price])


def said(old: PlanFile | None, new: PlanFile) -> list[str]:
    return [str(change) for change in differences(old, new, UNITS)]


def test_it_works() -> None:
    assert said(plan(fee(), tokens("3")), plan(fee(), tokens("2.50"))) == [
        "Input tokens: from USD 3.00 per 1,000,000 tokens to USD 2.50 per 1,000,000 tokens"
    ]


def test_equal_plans_do_not_differ() -> None:
    assert said(plan(fee(), tokens()), plan(fee(), tokens())) == []


def test_charges_come_and_go() -> None:
    assert said(plan(fee()), plan(tokens())) == [
        "Input tokens: added, USD 3.00 per 1,000,000 tokens",
        "Platform: removed; it was USD 100.00 a period",
    ]


def test_of_a_new_plan_everything_is_added() -> None:
    assert said(None, plan(fee())) == ["Platform: added, USD 100.00 a period"]


@pytest.mark.parametrize(
    ("new", "words"),
    [
        (fee(cadence="P1Y"), "cadence from the contract’s to P1Y"),
        (fee(pay="in_arrears"), "paid from in advance to in arrears"),
        (fee(proration="none"), "proration from the contract’s to none"),
        (fee(name="Base"), "called “Base” instead of “Platform”"),
        (fee(invoice_group="Fees"), "heading on the invoice from none to Fees"),
        (fee(revenue_treatment="point"), "revenue treatment from that of its kind to at a point, on delivery"),
        (fee(unit="seat"), "unit from none to seat"),
        (fee(prices=[{"model": "flat", "amount": "100"}, {"model": "flat", "amount": "90", "currency": "EUR"}]),
         "sold in EUR too, EUR 90.00 a period"),
        (fee(prices=[]), "no longer sold in USD; it was USD 100.00 a period"),
    ],
)  # fmt: skip
def test_a_change_of_a_field_names_it(new: dict[str, Any], words: str) -> None:
    assert [change.words for change in differences(plan(fee()), plan(new))] == [words]


def test_usage_that_is_priced_by_the_hour_or_counted_by_another_meter_says_so() -> None:
    assert said(plan(tokens()), plan(tokens(window="hour", meter="storage"))) == [
        "Input tokens: meter from input to storage",
        "Input tokens: priced by from the whole period to the hour",
    ]


def test_tiers_are_compared_by_their_bounds() -> None:
    old = tiered(("1000", "0.10"), ("5000", "0.09"), (None, "0.08"))
    new = tiered(("1000", "0.09"), ("2000", "0.085"), (None, "0.08"))
    assert said(plan(old), plan(new)) == [
        "Input tokens: tier to 1,000 tokens from USD 0.10 per token to USD 0.09 per token",
        "Input tokens: tier to 2,000 tokens added, USD 0.085 per token",
        "Input tokens: tier to 5,000 tokens removed; it was USD 0.09 per token",
    ]


def test_rates_and_steps_are_compared_by_their_bounds_too() -> None:
    def rates(first: str) -> dict[str, Any]:
        tiers = [{"up_to": "1000", "rate": first}, {"up_to": None, "rate": "1", "flat_amount": "2"}]
        return tokens(prices=[{"model": "graduated_percentage", "tiers": tiers}])

    def steps(last: str) -> dict[str, Any]:
        tiers = [{"up_to": "10", "flat_amount": "5"}, {"up_to": None, "flat_amount": last}]
        return tokens(prices=[{"model": "stairstep", "tiers": tiers}])

    assert said(plan(rates("3")), plan(rates("2.5"))) == ["Input tokens: tier to 1,000 tokens from 3 % to 2.5 %"]
    assert said(plan(steps("9")), plan(steps("8"))) == [
        "Input tokens: tier without end from USD 9.00 flat to USD 8.00 flat"
    ]


def test_cells_of_a_matrix_are_compared_by_their_values() -> None:
    def matrix(**amounts: str) -> dict[str, Any]:
        cells = [{"when": {"model": name}, "price": {"model": "per_unit", "unit_amount": amount}}
                 for name, amount in amounts.items() if name != "rest"]  # fmt: skip
        default = {"model": "per_unit", "unit_amount": amounts["rest"]} if "rest" in amounts else None
        price = {"model": "matrix", "dimensions": ["model"], "cells": cells, "default": default}
        return tokens(prices=[price | {"unit": {"divide_by": "1000000"}}])

    assert said(plan(matrix(large="3", small="1")), plan(matrix(large="2.5", tiny="0.5", rest="4"))) == [
        "Input tokens: large from USD 3.00 per 1,000,000 tokens to USD 2.50 per 1,000,000 tokens",
        "Input tokens: tiny added, USD 0.50 per 1,000,000 tokens",
        "Input tokens: all others added, USD 4.00 per 1,000,000 tokens",
        "Input tokens: small removed; it was USD 1.00 per 1,000,000 tokens",
    ]


def test_a_price_that_changes_in_more_than_its_tiers_is_told_whole() -> None:
    old, new = tiered((None, "0.10")), tiered((None, "0.08"), free_quantity="100")
    assert said(plan(old), plan(new)) == [
        "Input tokens: from Graduated: any quantity at USD 0.10 per token to Graduated: any quantity at USD 0.08 per"
        " token; the first 100 tokens free"
    ]


def test_another_order_is_said_once() -> None:
    assert said(plan(fee(), tokens()), plan(tokens(), fee())) == ["Order on the invoice: Input tokens, Platform"]
