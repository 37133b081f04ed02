"""What the plan builder computes: problems at their places, pasted rows, curves, and ready-made plans."""

import json
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.catalog.builder.curve import bounds_of, falls, points, reach
from billing.catalog.builder.pasting import amount_of, cells_of, tiers_of
from billing.catalog.builder.problems import read_price
from billing.catalog.builder.starters import FOLDER, Starter, starters
from billing.catalog.builder.trial import MODELS, example_to_json, shown, typed
from billing.pricing import Cells, Rating, needs, parse_price, rate

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
        ("0.10", "0.1"), ("$ 0.10", "0.1"), ("EUR 3", "3"), ("3 €", "3"), ("1,234.50", "1234.5"),
        ("1.234,50", "1234.5"),
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
    far = reach(price, bounds, at(price), Fraction(0))
    drawn = points(bounds, far, at(price))
    assert [point.quantity for point in drawn if point.bound] == bounds
    assert drawn[-1].quantity == far == 16500
    assert {point.total for point in drawn} >= {Fraction(5), Fraction(105)}


def test_the_curve_reaches_the_quantity_that_is_asked_for() -> None:
    price = parse_price(GRADUATED)
    assert reach(price, bounds_of(price), at(price), Fraction(80_000)) == 100_000


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


EVERY_MODEL: list[dict[str, Any]] = [
    {"model": "flat", "amount": "5"}, {"model": "per_unit", "unit_amount": "0.5"}, GRADUATED, VOLUME,
    {"model": "package", "package_size": "10", "amount": "3"},
    {"model": "stairstep", "tiers": [{"up_to": "5", "flat_amount": "1"}, {"up_to": None, "flat_amount": "3"}]},
    {"model": "percentage", "rate": "2.9"}, {"model": "percentage", "rate": "2.9", "fixed_amount": "0.30"},
    {"model": "percentage", "rate": "2.9", "free_events": 2, "free_amount": "10", "maximum_per_event": "5"},
    {"model": "graduated_percentage", "tiers": [{"up_to": "100", "rate": "3"}, {"up_to": None, "rate": "2"}]},
    {"model": "volume_percentage", "tiers": [{"up_to": "100", "rate": "3"}, {"up_to": None, "rate": "2"}]},
    {"model": "dynamic", "multiplier": "1.1"},
    {"model": "matrix", "dimensions": ["model", "region"], "default": {"model": "per_unit", "unit_amount": "9"},
     "cells": [{"when": {"model": "large", "region": "eu"}, "price": {"model": "per_unit", "unit_amount": "2"}},
               {"when": {"model": "small", "region": "eu"}, "price": GRADUATED}]},
    {"model": "matrix", "dimensions": ["country"], "default": None,
     "cells": [{"when": {"country": "de"}, "price": {"model": "percentage", "rate": "1", "fixed_amount": "0.1"}}]},
]  # fmt: skip
AROUND: list[dict[str, Any]] = [
    {}, {"unit": {"divide_by": "1000", "round": "up"}}, {"free_quantity": "3"}, {"discounts": [{"percentage": "10"}]},
    {"minimum_amount": "20", "maximum_amount": "500"}, {"custom_unit": {"code": "credits", "places": 2, "rate": "0.1"}},
]  # fmt: skip


def test_every_model_of_the_engine_can_be_chosen() -> None:
    assert {price["model"] for price in EVERY_MODEL} == set(MODELS)


@pytest.mark.parametrize("around", AROUND, ids=str)
@pytest.mark.parametrize("price", EVERY_MODEL, ids=lambda price: price["model"])
def test_every_price_has_words_a_curve_and_an_example(price: dict[str, Any], around: dict[str, Any]) -> None:
    read = parse_price(price | around)
    answer = shown(read, "token", cover=Fraction(30))
    assert answer["words"]
    assert len(answer["curve"]) > 40
    assert json.loads(json.dumps(answer)) == answer
    need = answer["needs"]
    asked = {"quantity": {"quantity": "12"}, "events": {"events": "12, 30"},
             "cells": {"cells": [{"values": row, "quantity": "12"} for row in need["rows"]]}}[need["kind"]]  # fmt: skip
    example = example_to_json(typed(asked, read, "token"), read, "token")
    assert example["total"].startswith("USD ")
    assert example["steps"]


def test_a_matrix_is_drawn_for_the_cell_that_is_chosen() -> None:
    matrix = parse_price(EVERY_MODEL[-2])
    assert shown(matrix, "token")["about"] == "For large and eu"
    drawn = shown(matrix, "token", cell=["small", "eu"])
    assert drawn["about"] == "For small and eu"
    assert [point["words"][0] for point in drawn["curve"] if point["bound"]] == ["1,000 tokens"]
    assert shown(matrix, "token", cell=["another", "another"])["about"] == "For another and another"
    for garbage in (["x", "y"], "large", [["large"], 1], {}):
        assert shown(matrix, "token", cell=garbage)["about"] == "For large and eu"


def test_a_unit_without_a_worth_says_what_is_missing_in_place_of_the_curve() -> None:
    price = parse_price({"model": "per_unit", "unit_amount": "4", "custom_unit": {"code": "credits", "places": 2}})
    answer = shown(price, "image")
    assert answer["curve"] == []
    assert answer["no_curve"].startswith("credits have no rate in USD")
    assert answer["words"] == "4 credits per image; credits are billed at their dated worth"


@pytest.mark.parametrize("asked", [{}, {"cells": []}, {"cells": [{"values": ["a"]}]}, {"cells": [1]}, {"cells": "x"}])
def test_an_example_of_a_matrix_needs_quantities_of_its_cells(asked: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="Type a quantity for one of the cells"):
        typed(asked, parse_price(EVERY_MODEL[-2]), "token")


@pytest.mark.parametrize("events", ["", None, ",", "1," * 1001, "1, many", [1]])
def test_an_example_of_events_needs_their_values(events: object) -> None:
    with pytest.raises(ValueError, match=r"Type the values|is no quantity"):
        typed({"events": events}, parse_price({"model": "dynamic"}), "event")


EXAMPLES = [
    pytest.param(found, example, id=f"{found.code} {example['charge']} {place}")
    for found in starters()
    for place, example in enumerate(found.examples)
]


@pytest.mark.parametrize(("found", "example"), EXAMPLES)
def test_the_examples_of_ready_made_plans_bill_what_they_say(found: Starter, example: dict[str, Any]) -> None:
    charge = next(each for each in found.plan.charges if each.code == example["charge"])
    price = charge.price_in("USD")
    assert price is not None
    if price.custom_unit:
        worth = next(unit.rates["USD"] for unit in found.units if unit.code == price.custom_unit.code)
        price = replace(price, custom_unit=replace(price.custom_unit, rate=Decimal(worth)))
    given = example["usage"]
    if "cells" in given:
        names = needs(price).dimensions
        rows = tuple(
            (tuple(row["dimensions"][name] for name in names), Decimal(row["quantity"])) for row in given["cells"]
        )
        rating = rate(price, Cells(names, rows))
    else:
        rating = rate(price, Decimal(given["quantity"]))
    assert str(rating.amount) == example["amount"]


def test_every_charge_of_a_ready_made_plan_has_an_example() -> None:
    for found in starters():
        assert {charge.code for charge in found.plan.charges} == {example["charge"] for example in found.examples}
        assert {charge.meter for charge in found.plan.charges} - {""} == {meter.code for meter in found.meters}


def test_no_file_of_a_ready_made_plan_is_left_out() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == {found.code for found in starters()}


def test_the_curve_bends_exactly_where_a_minimum_ends_and_a_maximum_begins() -> None:
    price = parse_price({"model": "per_unit", "unit_amount": "3", "minimum_amount": "20", "maximum_amount": "100"})
    drawn = points([], Fraction(48), at(price))
    assert {Fraction(20, 3), Fraction(100, 3)} <= {point.quantity for point in drawn}
    assert {point.next_unit for point in drawn} == {0, 3}
