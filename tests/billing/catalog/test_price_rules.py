"""Prices that are probably a slip are noticed before they are published."""

from typing import Any

import pytest

from billing.catalog.price_rules import is_zero, price_warnings


def tiers(model: str, *rows: tuple[str | None, str], key: str = "unit_amount", **price: Any) -> dict[str, Any]:
    return {
        "model": model,
        "currency": "USD",
        "tiers": [{"up_to": bound, key: amount} for bound, amount in rows],
        **price,
    }


def matrix(*amounts: str) -> dict[str, Any]:
    cells = [
        {"when": {"model": f"m{number}"}, "price": {"model": "per_unit", "currency": "USD", "unit_amount": amount}}
        for number, amount in enumerate(amounts)
    ]
    return {"model": "matrix", "currency": "USD", "dimensions": ["model"], "cells": cells, "default": None}


def test_it_works() -> None:
    assert price_warnings({"model": "per_unit", "currency": "USD", "unit_amount": "0.01"}) == []
    assert price_warnings({"model": "flat", "currency": "USD", "amount": "0"}) == ["costs nothing: the price is zero"]


@pytest.mark.parametrize(
    "price",
    [
        {"model": "per_unit", "unit_amount": "0.00"},
        {"model": "package", "package_size": "10", "amount": "0"},
        {"model": "flat", "amount": "5", "discounts": [{"percentage": "100"}]},
        {"model": "flat", "amount": "5", "maximum_amount": "0"},
        tiers("graduated", ("10", "0"), (None, "0")),
        tiers("stairstep", ("10", "0"), (None, "0"), key="flat_amount"),
        tiers("graduated_percentage", ("10", "0"), (None, "0"), key="rate"),
        {"model": "percentage", "rate": "0", "maximum_per_event": "3"},
        {"model": "dynamic", "multiplier": "0"},
        matrix("0", "0"),
    ],
)
def test_a_price_that_never_costs_anything_is_zero(price: dict[str, Any]) -> None:
    assert is_zero(price)


@pytest.mark.parametrize(
    "price",
    [
        {"model": "per_unit", "unit_amount": "0", "minimum_amount": "5"},
        {"model": "flat", "amount": "5", "discounts": [{"percentage": "100"}], "minimum_amount": "1"},
        tiers("graduated", ("10", "0"), (None, "0.1")),
        {"model": "percentage", "rate": "0", "fixed_amount": "0.3"},
        {"model": "percentage", "rate": "0", "minimum_per_event": "0.1"},
        {"model": "dynamic"},
        matrix("0", "1"),
    ],
)
def test_a_price_that_costs_something_is_not_zero(price: dict[str, Any]) -> None:
    assert not is_zero(price)


@pytest.mark.parametrize(
    ("second", "words"),
    [
        ("0.0001", "beyond 1,000 tokens it is 1,000 times cheaper than before"),
        ("100", "beyond 1,000 tokens it is 1,000 times dearer than before"),
    ],
)
def test_a_tier_a_thousand_times_its_neighbour_is_noticed(second: str, words: str) -> None:
    assert price_warnings(tiers("graduated", ("1000", "0.1"), (None, second)), "token") == [words]


def test_a_tier_999_times_its_neighbour_or_beside_a_free_one_is_not() -> None:
    assert price_warnings(tiers("graduated", ("1000", "0.1"), (None, "99.9"))) == []
    assert price_warnings(tiers("graduated", ("1000", "0"), (None, "100"))) == []


def test_blocks_are_compared_by_what_one_unit_costs() -> None:
    price = tiers("graduated", ("1000", "5"), (None, "0.005"))
    price["tiers"][0]["package_size"] = "1000"
    assert price_warnings(price) == []


def test_bounds_are_told_in_what_is_metered() -> None:
    price = tiers("graduated", ("2", "3000"), (None, "3"), unit={"divide_by": "1000000"})
    assert price_warnings(price, "token") == ["beyond 2,000,000 tokens it is 1,000 times cheaper than before"]


def test_a_volume_total_that_falls_at_a_bound_is_noticed() -> None:
    assert price_warnings(tiers("volume", ("100", "1"), (None, "0.8")), "seat") == [
        "the total falls beyond 100 seats, from USD 100.00 to USD 80.00"
    ]
    assert price_warnings(tiers("graduated", ("100", "1"), (None, "0.8"))) == []
    flat = tiers("volume", ("100", "1"), (None, "0.8"))
    flat["tiers"][1]["flat_amount"] = "20"
    assert price_warnings(flat) == []


def test_a_volume_percentage_falls_too() -> None:
    assert price_warnings(tiers("volume_percentage", ("1000", "3"), (None, "2"), key="rate"), "dollar") == [
        "the total falls beyond 1,000 dollars, from USD 30.00 to USD 20.00"
    ]


def test_cells_of_a_matrix_are_looked_at_one_by_one() -> None:
    assert price_warnings(matrix("0", "1")) == ["for model m0: costs nothing"]
