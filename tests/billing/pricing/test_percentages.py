"""Percentages and prices that events carry: event by event, or from their sums where that is the same."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.pricing import Events, EventUse, Price, PriceError, Rating, Totals, needs, parse_price, rate
from billing.pricing.prices import Dynamic, Percentage
from tests.billing.pricing.strategies import decimals, percentages, rates


def used(*amounts: str) -> Events:
    return Events(tuple(EventUse(Decimal(amount)) for amount in amounts))


def rated(price: dict[str, Any], *amounts: str) -> Rating:
    return rate(parse_price(price), used(*amounts), "USD")


def labels(rating: Rating) -> list[str]:
    return [step.label for step in rating.steps]


CARDS = {"model": "percentage", "rate": "2.9", "fixed_amount": "0.30"}


def test_it_works() -> None:
    rating = rated(CARDS, "100", "50")
    assert str(rating.amount) == "4.95"
    assert labels(rating) == ["2.9% of 150 USD", "2 events at USD 0.30"]


def test_a_quantity_is_enough_for_a_bare_rate() -> None:
    rating = rate(parse_price({"model": "percentage", "rate": "2.9"}), Decimal(1000))
    assert (str(rating.amount), labels(rating)) == ("29.00", ["2.9% of 1,000 units"])


@pytest.mark.parametrize(
    "price",
    [
        CARDS,
        {"model": "dynamic"},
        {"model": "percentage", "rate": "1", "free_events": 3},
        {"model": "percentage", "rate": "1", "free_amount": "100"},
        {"model": "percentage", "rate": "1", "minimum_per_event": "1"},
        {"model": "percentage", "rate": "1", "maximum_per_event": "1"},
    ],
)
def test_a_price_that_looks_at_each_event_takes_no_quantity(price: dict[str, Any]) -> None:
    with pytest.raises(PriceError) as caught:
        rate(parse_price(price), Decimal(5))
    assert (caught.value.code, caught.value.path) == ("events_needed", "usage")


def test_the_minimum_and_then_the_maximum_hold_for_each_event() -> None:
    rating = rated(CARDS | {"minimum_per_event": "1", "maximum_per_event": "5"}, "10", "100", "1000")
    assert str(rating.amount) == "9.20"  # 1.00 + 3.20 + 5.00
    assert labels(rating)[2:] == ["Minimum of USD 1.00 an event: 1 event", "Maximum of USD 5.00 an event: 1 event"]


@pytest.mark.parametrize(
    ("free", "amount"),
    [
        ({"free_events": 2}, "13.00"),  # 300 and 400 pay 3 + 4, and twice the fixed part
        ({"free_amount": "150"}, "17.50"),  # 200 crosses: 1.50 + 3 for its excess, then 6 and 7
        ({"free_events": 1, "free_amount": "150"}, "18.00"),  # the events run out first, and end both
        ({"free_events": 3, "free_amount": "150"}, "17.50"),
        ({"free_amount": "300"}, "13.00"),  # used up to the cent: nothing crosses
        ({"free_events": 0, "free_amount": "300"}, "22.00"),
        ({"free_events": 9}, "0.00"),
    ],
)
def test_free_events_and_free_value_end_together(free: dict[str, Any], amount: str) -> None:
    rating = rated({"model": "percentage", "rate": "1", "fixed_amount": "3"} | free, "100", "200", "300", "400")
    assert str(rating.amount) == amount


def test_what_was_free_is_told() -> None:
    rating = rated(CARDS | {"free_amount": "150"}, "100", "200")
    assert labels(rating) == ["Included: 150 USD, 1 event free", "2.9% of 150 USD", "1 event at USD 0.30"]


def test_events_carry_their_price() -> None:
    rating = rated({"model": "dynamic", "multiplier": "1.2"}, "0.50", "3")
    assert (str(rating.amount), labels(rating)) == ("4.20", ["Prices of 2 events, 3.5 USD × 1.2"])
    assert str(rated({"model": "dynamic"}).amount) == "0.00"


def test_refunds_beyond_what_was_used_bill_nothing() -> None:
    assert str(rated({"model": "dynamic"}, "5", "-8").amount) == "0.00"
    assert str(rated(CARDS, "5", "-8").amount) == "0.00"


def test_the_free_quantity_goes_to_the_first_events() -> None:
    price = CARDS | {"free_quantity": "120", "unit": {"divide_by": "100"}, "minimum_per_event": "0.31"}
    rating = rated(price, "10000", "5000")
    assert labels(rating)[:2] == ["Included: 12,000 USD", "2.9% of 3,000 USD"]
    assert rating.unrounded == Decimal("30") * Decimal("0.029") + Decimal("0.60") + Decimal("0.01")


def by_hand(model: Percentage, values: list[Decimal]) -> Fraction:
    """The rule once more, in plain words and fractions."""
    total, seen, value_left = Fraction(0), 0, None if model.free_amount is None else Fraction(model.free_amount)
    free = model.free_events is not None or value_left is not None
    for value in map(Fraction, values):
        if free and (model.free_events == seen or value_left == 0):
            free = False
        charged = value
        if free:
            seen += 1
            if value_left is None or value <= value_left:
                value_left = None if value_left is None else value_left - value
                continue
            charged, free = value - value_left, False
        amount = Fraction(model.rate) / 100 * charged + Fraction(model.fixed_amount or 0)
        if model.minimum_per_event is not None:
            amount = max(amount, Fraction(model.minimum_per_event))
        if model.maximum_per_event is not None:
            amount = min(amount, Fraction(model.maximum_per_event))
        total += amount
    return total


values = st.lists(decimals(0, 1000, 2), max_size=12)


@given(percentages(), values)
def test_it_equals_a_plain_recomputation(model: Percentage, amounts: list[Decimal]) -> None:
    usage = Events(tuple(map(EventUse, amounts)))
    assert Fraction(rate(Price(model), usage).unrounded) == by_hand(model, amounts)


linear = st.builds(Percentage, rates, decimals(0, 5, 2)) | st.builds(Dynamic, decimals(0, 5, 3))


@given(linear, st.lists(decimals(-200, 1000, 2), max_size=12))
def test_sums_are_as_good_as_events_where_the_price_says_so(
    model: Percentage | Dynamic, amounts: list[Decimal]
) -> None:
    price = Price(model)
    assert needs(price).kind == "totals"
    totals = Totals(sum(amounts, Decimal(0)), len(amounts))
    assert rate(price, totals) == rate(price, Events(tuple(map(EventUse, amounts))))
