"""A price is read strictly, rated exactly, and explains itself."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from billing.pricing import PriceError, Rating, parse_price, price_to_json, rate

INPUT_TOKENS = {
    "model": "graduated",
    "tiers": [
        {"up_to": "5000000", "unit_amount": "0.000003"},
        {"up_to": "15000000", "unit_amount": "0.0000025"},
        {"up_to": None, "unit_amount": "0.000002"},
    ],
}
TIERS_WITH_FLATS = [
    {"up_to": "1000", "unit_amount": "0.10", "flat_amount": "5"},
    {"up_to": None, "unit_amount": "0.08", "flat_amount": "2"},
]


def rated(price: dict[str, Any], quantity: str, unit_name: str = "unit") -> Rating:
    return rate(parse_price(price), Decimal(quantity), unit_name)


def labels(rating: Rating) -> list[str]:
    return [step.label for step in rating.steps]


def test_it_works() -> None:
    rating = rated(INPUT_TOKENS, "18059974", "token")
    assert str(rating.amount) == "46.12"
    assert labels(rating) == [
        "First 5,000,000 tokens at USD 0.000003",
        "Next 10,000,000 tokens at USD 0.0000025",
        "Above 15,000,000 tokens at USD 0.000002",
    ]
    assert [step.amount for step in rating.steps] == [Decimal("15"), Decimal("25"), Decimal("6.119948")]


def test_each_unit_costs_the_same() -> None:
    rating = rated({"model": "per_unit", "unit_amount": "0.000015"}, "245896", "token")
    assert str(rating.amount) == "3.69"
    assert rating.unrounded == Decimal("3.68844")
    assert labels(rating) == ["245,896 tokens at USD 0.000015"]


def test_a_flat_fee_does_not_depend_on_the_quantity() -> None:
    price = {"model": "flat", "amount": "99", "currency": "JPY"}
    assert [str(rated(price, quantity).amount) for quantity in ("0", "5")] == ["99", "99"]


@pytest.mark.parametrize(
    ("quantity", "amount"), [("0", "5.00"), ("1", "5.10"), ("1000", "105.00"), ("1000.5", "107.04"), ("1500", "147.00")]
)
def test_graduated_adds_the_flat_amount_of_each_tier_reached(quantity: str, amount: str) -> None:
    assert str(rated({"model": "graduated", "tiers": TIERS_WITH_FLATS}, quantity).amount) == amount


@pytest.mark.parametrize(
    ("quantity", "amount"), [("0", "5.00"), ("1000", "105.00"), ("1000.5", "82.04"), ("1500", "122.00")]
)
def test_volume_takes_the_whole_quantity_at_the_price_of_its_tier(quantity: str, amount: str) -> None:
    assert str(rated({"model": "volume", "tiers": TIERS_WITH_FLATS}, quantity).amount) == amount


@pytest.mark.parametrize("model", ["graduated", "volume"])
def test_nothing_used_can_mean_no_flat_amount(model: str) -> None:
    rating = rated({"model": model, "tiers": TIERS_WITH_FLATS, "flat_at_zero": False}, "0")
    assert str(rating.amount) == "0.00"
    assert rating.steps[0].flat_amount is None


def test_a_tier_says_what_it_is() -> None:
    tiers = [
        {"up_to": 10},
        {"up_to": "20", "flat_amount": "5"},
        {"up_to": "1000", "unit_amount": "2.50", "package_size": "100"},
        {"up_to": None, "unit_amount": "0.01", "flat_amount": "1"},
    ]
    rating = rated({"model": "graduated", "currency": "EUR", "tiers": tiers}, "1200", "query")
    assert labels(rating) == [
        "First 10 queries at no charge",
        "Next 10 queries for EUR 5.00",
        "Next 980 queries at EUR 2.50 per 100 queries",
        "Above 1,000 queries at EUR 0.01 plus EUR 1.00",
    ]
    assert [step.quantity for step in rating.steps] == [10, 10, 10, 200]
    assert rating.unrounded == 5 + 25 + 3
    volume = {"model": "volume", "tiers": tiers}
    assert labels(rated(volume, "20")) == ["20 units for USD 5.00 (tier above 10 up to 20)"]
    assert labels(rated(volume, "101")) == ["101 units at USD 2.50 per 100 units (tier above 20 up to 1,000)"]
    assert labels(rated(volume, "5")) == ["5 units at no charge (tier up to 10)"]


@pytest.mark.parametrize(
    ("rounding", "quantity", "amount"),
    [
        ("up", "250", "15.00"),
        ("up", "200", "10.00"),
        ("down", "250", "10.00"),
        ("up", "0", "0.00"),
        ("up", "0.01", "5.00"),
    ],
)
def test_packages_are_whole(rounding: str, quantity: str, amount: str) -> None:
    price = {"model": "package", "package_size": "100", "amount": "5", "round": rounding}
    assert str(rated(price, quantity).amount) == amount


def test_packages_count_what_exceeds_the_free_quantity() -> None:
    price = {"model": "package", "package_size": "100", "amount": "5", "free_quantity": "50"}
    rating = rated(price, "150.5", "call")
    assert labels(rating) == ["Included: 50 calls", "2 packages of 100 calls at USD 5.00"]
    assert str(rated(price, "40").amount) == "0.00"
    assert labels(rated(price, "40"))[0] == "Included: 40 of 50 units"


def test_the_order_is_conversion_then_free_then_model_then_discounts_then_one_rounding() -> None:
    price = {
        "model": "graduated",
        "currency": "USD",
        "tiers": [{"up_to": "2", "unit_amount": "10"}, {"up_to": None, "unit_amount": "5"}],
        "unit": {"divide_by": "1000000", "round": "up"},
        "free_quantity": "1",
        "discounts": [{"percentage": "10"}, {"amount": "2.505"}],
    }
    rating = rated(price, "3500001", "token")
    assert labels(rating) == [
        "3,500,001 tokens count as 4,000,000 tokens (rounded up)",
        "Included: 1,000,000 tokens",
        "First 2,000,000 tokens at USD 10.00 per 1,000,000",
        "Above 2,000,000 tokens at USD 5.00 per 1,000,000",
        "10% discount",
        "Discount of USD 2.505",
    ]
    assert rating.unrounded == Decimal("19.995")
    assert str(rating.amount) == "20.00"


@pytest.mark.parametrize(("rounding", "units"), [("none", "1.5"), ("up", "2"), ("down", "1"), ("half_up", "2")])
def test_converted_units_round_as_the_price_says(rounding: str, units: str) -> None:
    price = {"model": "per_unit", "unit_amount": "1", "unit": {"divide_by": "1000", "round": rounding}}
    assert rated(price, "1500").unrounded == Decimal(units)


def test_a_quantity_without_end_stays_exact_and_its_steps_add_up_on_paper_too() -> None:
    price = {
        "model": "graduated",
        "tiers": [{"up_to": "1", "unit_amount": "0.1"}, {"up_to": None, "unit_amount": "0.7"}],
        "unit": {"divide_by": "3"},
        "discounts": [{"percentage": "1"}],
    }
    rating = rated(price, "5")
    assert rating.unrounded == (Fraction(1, 10) + Fraction(2, 3) * Fraction(7, 10)) * Fraction(99, 100)
    stored: Any = rating.to_json()
    assert sum(Decimal(step["amount"]) for step in stored["steps"]) == Decimal(stored["unrounded"])
    assert labels(rating)[0] == "First 3 units at USD 0.10 per 3"


def test_an_exact_half_rounds_away_from_zero() -> None:
    assert str(rated({"model": "per_unit", "unit_amount": "0.005"}, "1").amount) == "0.01"
    assert str(rated({"model": "per_unit", "unit_amount": "-0.005"}, "1").amount) == "-0.01"


def test_a_huge_quantity_loses_no_digit() -> None:
    rating = rated({"model": "per_unit", "unit_amount": "0.000000000001"}, "123456789012345678901234567890123456789")
    assert rating.unrounded == Decimal("123456789012345678901234567.890123456789")
    assert str(rating.amount) == "123456789012345678901234567.89"


@pytest.mark.parametrize("price", [INPUT_TOKENS, {"model": "flat", "amount": "5"}])
def test_a_negative_quantity_bills_nothing_and_says_so(price: dict[str, Any]) -> None:
    rating = rated(price, "-5", "token")
    assert str(rating.amount) == "0.00"
    assert labels(rating) == ["Negative quantity, billed as 0: -5 tokens"]


def test_a_discount_takes_nothing_below_zero() -> None:
    rating = rated({"model": "flat", "amount": "2", "discounts": [{"amount": "3"}, {"percentage": "10"}]}, "0")
    assert labels(rating) == ["Flat fee", "Discount of USD 3.00, as far as it goes"]
    assert str(rating.amount) == "0.00"


def test_one_of_a_kind_is_singular() -> None:
    assert labels(rated({"model": "per_unit", "unit_amount": "1234.5"}, "1", "seat")) == ["1 seat at USD 1,234.50"]


def test_what_is_not_a_number_is_no_quantity() -> None:
    with pytest.raises(ValueError, match="no quantity"):
        rated(INPUT_TOKENS, "NaN")


def test_a_rating_is_stored_with_decimal_strings() -> None:
    assert rated(
        {"model": "per_unit", "unit_amount": "0.0930", "discounts": [{"percentage": "10"}]}, "1500"
    ).to_json() == {
        "amount": "125.55",
        "unrounded": "125.55",
        "currency": "USD",
        "steps": [
            {
                "label": "1,500 units at USD 0.093",
                "quantity": "1500",
                "unit_amount": "0.093",
                "flat_amount": None,
                "amount": "139.5",
            },
            {"label": "10% discount", "quantity": None, "unit_amount": None, "flat_amount": None, "amount": "-13.95"},
        ],
    }


def test_a_price_is_written_as_it_is_read_without_defaults() -> None:
    price = {
        "model": "package",
        "package_size": "100.0",
        "amount": 5,
        "round": "up",
        "free_quantity": "0",
        "discounts": [],
    }
    written = price_to_json(parse_price(price))
    assert written == {"model": "package", "currency": "USD", "package_size": "100", "amount": "5"}
    assert parse_price(written) == parse_price(price)


PER_UNIT = {"model": "per_unit", "unit_amount": "1"}


@pytest.mark.parametrize(
    ("price", "code", "path"),
    [
        ([], "not_an_object", "price"),
        ({}, "missing_key", "price.model"),
        ({"model": "cheap"}, "unknown_model", "price.model"),
        ({"model": ["flat"]}, "unknown_model", "price.model"),
        ({"model": "matrix", "cells": []}, "missing_key", "price.dimensions"),
        ({"model": "matrix", "dimensions": ["region"], "cells": []}, "incomplete", "price.cells"),
        (PER_UNIT | {"minimum_amount": "-1"}, "out_of_range", "price.minimum_amount"),
        (PER_UNIT | {"minimum_amount": "2", "maximum_amount": "1"}, "out_of_range", "price.maximum_amount"),
        (PER_UNIT | {"amount": "1"}, "unknown_key", "price.amount"),
        (PER_UNIT | {"unit_amount": 0.1}, "invalid_number", "price.unit_amount"),
        (PER_UNIT | {"unit_amount": True}, "invalid_number", "price.unit_amount"),
        (PER_UNIT | {"unit_amount": None}, "invalid_number", "price.unit_amount"),
        ({"model": "per_unit"}, "missing_key", "price.unit_amount"),
        (PER_UNIT | {"currency": "usd"}, "unknown_currency", "price.currency"),
        (PER_UNIT | {"currency": ["USD"]}, "unknown_currency", "price.currency"),
        (PER_UNIT | {"free_quantity": "-1"}, "out_of_range", "price.free_quantity"),
        (PER_UNIT | {"unit": {"divide_by": "0"}}, "out_of_range", "price.unit.divide_by"),
        (PER_UNIT | {"unit": {"divide_by": "1", "round": "ceil"}}, "invalid_choice", "price.unit.round"),
        (PER_UNIT | {"unit": {"times": "1"}}, "unknown_key", "price.unit.times"),
        (PER_UNIT | {"unit": "tokens"}, "not_an_object", "price.unit"),
        (PER_UNIT | {"discounts": {"amount": "1"}}, "not_a_list", "price.discounts"),
        (PER_UNIT | {"discounts": [{"amount": "1"}, {}]}, "incomplete", "price.discounts[1]"),
        (PER_UNIT | {"discounts": [{"amount": "1", "percentage": "1"}]}, "incomplete", "price.discounts[0]"),
        (PER_UNIT | {"discounts": [{"percentage": "100.1"}]}, "out_of_range", "price.discounts[0].percentage"),
        (PER_UNIT | {"discounts": [{"amount": "-1"}]}, "out_of_range", "price.discounts[0].amount"),
        ({"model": "package", "package_size": "-1", "amount": "1"}, "out_of_range", "price.package_size"),
        ({"model": "package", "package_size": "1", "amount": "1", "round": "none"}, "invalid_choice", "price.round"),
    ],
)
def test_a_wrong_price_is_refused_with_the_path(price: object, code: str, path: str) -> None:
    with pytest.raises(PriceError) as caught:
        parse_price(price)
    assert (caught.value.code, caught.value.path) == (code, path)
    assert caught.value.to_json() == {"code": code, "message": caught.value.message, "path": path}


@pytest.mark.parametrize(
    ("tiers", "code", "path"),
    [
        ([], "incomplete", "tiers"),
        ([{"up_to": "1"}], "last_tier_not_open", "tiers[0].up_to"),
        ([{"up_to": None}, {"up_to": None}], "tier_order", "tiers[0].up_to"),
        ([{"up_to": "2"}, {"up_to": "2.0"}, {"up_to": None}], "tier_order", "tiers[1].up_to"),
        ([{"up_to": "2"}, {"up_to": "1"}, {"up_to": None}], "tier_order", "tiers[1].up_to"),
        ([{"up_to": "0"}, {"up_to": None}], "tier_order", "tiers[0].up_to"),
        ([{"up_to": "1"}, {"unit_amount": "1"}], "missing_key", "tiers[1].up_to"),
        ([{"up_to": 1.5}, {"up_to": None}], "invalid_number", "tiers[0].up_to"),
        ([{"up_to": None, "rate": "1"}], "unknown_key", "tiers[0].rate"),
        ([{"up_to": None, "package_size": "5"}], "incomplete", "tiers[0].package_size"),
        ([{"up_to": None, "unit_amount": "1", "package_size": "0"}], "out_of_range", "tiers[0].package_size"),
        (["1"], "not_an_object", "tiers[0]"),
    ],
)
def test_wrong_tiers_are_refused_with_the_path(tiers: list[Any], code: str, path: str) -> None:
    with pytest.raises(PriceError) as caught:
        parse_price({"model": "graduated", "tiers": tiers}, "plan.charges[2].price")
    assert (caught.value.code, caught.value.path) == (code, f"plan.charges[2].price.{path}")
