"""What the plan builder computes: problems at their places, pasted rows, curves, and ready-made plans."""

import json
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.catalog.builder.curve import bounds_of, falls, points, reach
from billing.catalog.builder.pasting import amount_of, cells_of, tiers_of
from billing.catalog.builder.problems import read_price
from billing.pricing import Rating, parse_price, rate

GRADUATED = {"model": "graduated", "tiers": [{"up_to": "1000", "unit_amount": "0.10", "flat_amount": "5"},
                                             {"up_to": None, "unit_amount": "0.08"}]}  # fmt: skip
VOLUME = {"model": "volume", "tiers": [{"up_to": "10", "unit_amount": "25"}, {"up_to": None, "unit_amount": "20"}]}


def places(price: object) -> list[str]:
    return [problem.path for problem in read_price(price)[1]]


def test_it_works() -> None:
    price, problems = read_price(GRADUATED)
    assert price == parse_price(GRADUATED)
    assert problems == []


def test_every_wrong_row_is_named_by_its_place_as_given() -> None:
    tiers = [{"up_to": "-1", "unit_amount": "1"}, {"up_to": "10", "unit_amount": "x"}, {"up_to": "20"},
             {"up_to": "20"}, {"up_to": "30", "unit": "1"}, {"up_to": None}]  # fmt: skip
    assert sorted(places({"model": "graduated", "tiers": tiers})) == [
        "tiers[0].up_to", "tiers[1].unit_amount", "tiers[3].up_to", "tiers[4].unit",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("price", "expected"),
    [
        ({"model": "graduated", "tiers": [{"up_to": "5"}]}, ["tiers[0].up_to"]),
        ({"model": "graduated", "tiers": [{"up_to": None}, {"up_to": None}]}, ["tiers[0].up_to"]),
        ({"model": "per_unit"}, ["unit_amount"]),
        ({"model": "per_unit", "unit_amount": 1.5}, ["unit_amount"]),
        ({"model": "nothing"}, ["model"]),
        ([], [""]),
        (None, [""]),
        ({"model": "flat", "amount": "1", "discounts": [{"percentage": "200"}, {"amount": "1"}, {}]},
         ["discounts[0].percentage", "discounts[2]"]),
    ],
)  # fmt: skip
def test_a_problem_has_the_place_of_what_is_wrong(price: object, expected: list[str]) -> None:
    assert places(price) == expected


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
KEYS = ("model", "tiers", "cells", "discounts", "currency", "unit", "dimensions", "default", "minimum_amount",
        "custom_unit", "amount", "unit_amount", "free_quantity")  # fmt: skip


@given(
    st.fixed_dictionaries(
        {"model": st.sampled_from(["graduated", "matrix", "volume", "flat", "package", "percentage"])},
        optional={key: JSON | st.lists(st.dictionaries(st.sampled_from(["up_to", "when", "price"]), JSON)) for key in
                  KEYS[1:]},
    )
)  # fmt: skip
def test_garbage_is_a_problem_and_never_a_crash(price: dict[str, Any]) -> None:
    found, problems = read_price(price)
    assert (found is None) == bool(problems)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0.10", "0.1"), ("$ 0.10", "0.1"), ("EUR 3", "3"), ("3 €", "3"), ("1,234.50", "1234.5"), ("1.234,50", "1234.5"),
        ("1,000", "1000"), ("0,003", "0.003"), ("1 000 000", "1000000"), ("1.000.000", "1000000"), ("1.000", "1"),
        ("2.9%", "2.9"), ("-5", "-5"), ("−5", "-5"), ("12,5", "12.5"), ("1'000", "1000"),
    ],
)  # fmt: skip
def test_numbers_are_read_as_spreadsheets_write_them(text: str, number: str) -> None:
    assert amount_of(text) == number


@pytest.mark.parametrize("text", ["", "free", "1.2.3", "1,2,3", "--1", "NaN", "1e400"])
def test_what_is_no_number_is_said_to_be_none(text: str) -> None:
    with pytest.raises(ValueError, match="is no number"):
        amount_of(text)


def test_tiers_are_pasted_with_bounds_spans_and_an_open_end() -> None:
    text = "Up to\tPrice\n1,000\t0.10\n1,001 – 5,000\t0.08\t12\n∞\t0.05\n"
    assert [row.understood for row in tiers_of(text)] == [
        {"up_to": "1000", "unit_amount": "0.1"},
        {"up_to": "5000", "unit_amount": "0.08", "flat_amount": "12"},
        {"up_to": None, "unit_amount": "0.05"},
    ]


@pytest.mark.parametrize("text", ["10,000+, 1", "> 10000; 1", "and above\t1", "\t1"])
def test_an_open_end_is_understood_in_many_words(text: str) -> None:
    assert [row.understood.get("up_to", "none") for row in tiers_of(text.replace("10,000+,", "10000+,"))] == [None]


def test_a_wrong_row_is_named_by_its_line_and_the_others_are_kept() -> None:
    rows = tiers_of("1000\t0.10\nmany\t0.08\n5000\n∞\t0.05")
    assert [(row.line, bool(row.problem)) for row in rows] == [(1, False), (2, True), (3, True), (4, False)]
    assert rows[1].problem == "“many” is no number: write it like 0.10 or 1,234.50."
    assert rows[2].problem == "1 column stands here; a row has up to, unit amount, flat amount."


def test_cells_are_pasted_by_tabs_or_commas_with_a_head_in_any_order() -> None:
    wanted = [{"when": {"model": "large", "region": "eu"}, "amount": "2.5"}]
    assert [row.understood for row in cells_of("large\teu\t2.50", ["model", "region"])] == wanted
    assert [row.understood for row in cells_of("large,eu,2.50", ["model", "region"])] == wanted
    head = "Region,Model,Price per million\neu,large,2.50"
    assert [row.understood for row in cells_of(head, ["model", "region"])] == wanted


def test_cells_say_what_is_wrong_with_each_row() -> None:
    rows = cells_of("large\teu\t2\nlarge\teu\t3\nsmall\t\t1\nsmall\teu\nsmall\tus\tcheap", ["model", "region"])
    assert [row.problem for row in rows] == [
        "",
        "Line 1 says these values too: keep one of them.",
        "There is no region: fill it in, or use the default price for all others.",
        "2 columns stand here; a row has model, region, amount.",
        "“cheap” is no number: write it like 0.10 or 1,234.50.",
    ]


def test_no_more_rows_are_read_than_a_form_can_hold() -> None:
    with pytest.raises(ValueError, match="paste at most 5,000"):
        tiers_of("1\t2\n" * 5001)


@given(st.text(max_size=60), st.sampled_from([["model"], ["model", "region"], ["a", "b", "c"]]))
def test_any_text_can_be_pasted(text: str, names: list[str]) -> None:
    for row in [*tiers_of(text), *cells_of(text, names)]:
        assert bool(row.problem) != bool(row.understood)


def at(price: Any) -> Any:
    def rated(quantity: Fraction) -> Rating:
        return rate(price, quantity)

    return rated


def test_a_curve_has_its_bounds_and_reaches_beyond_them() -> None:
    price = parse_price(GRADUATED | {"free_quantity": "100", "unit": {"divide_by": "10"}})
    bounds = bounds_of(price)
    assert bounds == [1000, 11000]
    far = reach(price, at(price), Fraction(0))
    drawn = points(bounds, far, at(price))
    assert [point.quantity for point in drawn if point.bound] == bounds
    assert drawn[-1].quantity == far == 16500
    assert {point.total for point in drawn} >= {Fraction(5), Fraction(105)}


def test_the_curve_reaches_the_quantity_that_is_asked_for() -> None:
    price = parse_price(GRADUATED)
    assert reach(price, at(price), Fraction(80_000)) == 100_000


def test_what_the_next_unit_costs_is_the_price_of_its_tier() -> None:
    price = parse_price({"model": "graduated", "tiers": [{"up_to": "10", "unit_amount": "3"},
                                                          {"up_to": None, "unit_amount": "2"}]})  # fmt: skip
    drawn = points(bounds_of(price), Fraction(20), at(price))
    assert {point.next_unit for point in drawn if point.quantity < 10} == {3}
    assert {point.next_unit for point in drawn if point.quantity > 10} == {2}


def test_a_volume_price_that_falls_says_where_and_by_how_much() -> None:
    price = parse_price(VOLUME)
    (fall,) = falls(bounds_of(price), at(price), "USD")
    assert (fall.bound, fall.before, round(fall.after)) == (10, 250, 200)
    graduated = parse_price(GRADUATED)
    assert falls(bounds_of(graduated), at(graduated), "USD") == []


@given(
    st.lists(st.integers(1, 10**6), min_size=1, max_size=4, unique=True),
    st.lists(st.integers(0, 1000), min_size=5, max_size=5), st.booleans(),
)  # fmt: skip
def test_every_point_of_a_curve_is_what_the_engine_rates(bounds: list[int], amounts: list[int], log: bool) -> None:
    tiers: list[dict[str, Any]] = [{"up_to": bound, "unit_amount": amount} for bound, amount in
                                   zip(sorted(bounds), amounts, strict=False)]  # fmt: skip
    price = parse_price({"model": "volume", "tiers": [*tiers, {"up_to": None, "unit_amount": amounts[-1]}]})
    drawn = points(bounds_of(price), Fraction(2 * 10**6), at(price), log=log)
    assert [point.quantity for point in drawn] == sorted({point.quantity for point in drawn})
    assert all(point.total == Fraction(rate(price, point.quantity).unrounded) for point in drawn)


def test_the_pasted_answer_is_plain_json() -> None:
    (row,) = tiers_of("10\t1")
    assert json.loads(json.dumps(row.to_json()))["understood"] == {"up_to": "10", "unit_amount": "1"}
    assert Decimal(row.understood["unit_amount"]) == 1
