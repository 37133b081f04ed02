"""What surrounds every model: minimum, maximum, custom units; and the models that only tiers tell apart."""

from decimal import Decimal
from typing import Any

import pytest

from billing.pricing import PriceError, Rating, parse_price, rate

CREDITS = {"code": "credits", "places": 1, "rate": "0.013"}


def rated(price: dict[str, Any], quantity: str) -> Rating:
    return rate(parse_price(price), Decimal(quantity), "token")


def labels(rating: Rating) -> list[str]:
    return [step.label for step in rating.steps]


STAIRS = {
    "model": "stairstep",
    "tiers": [
        {"up_to": "10", "flat_amount": "5"},
        {"up_to": "100", "flat_amount": "20"},
        {"up_to": None, "flat_amount": "50"},
    ],
}
RATES = [{"up_to": "1000", "rate": "3", "flat_amount": "2"}, {"up_to": None, "rate": "2"}]


@pytest.mark.parametrize(
    ("quantity", "amount"), [("0", "5"), ("10", "5"), ("10.01", "20"), ("100", "20"), ("101", "50")]
)
def test_a_stairstep_costs_the_amount_of_the_tier_that_contains_the_quantity(quantity: str, amount: str) -> None:
    assert rated(STAIRS, quantity).amount == Decimal(amount)


def test_a_stairstep_says_which_tier_it_is() -> None:
    assert labels(rated(STAIRS, "50")) == ["50 tokens for USD 20.00 (tier above 10 up to 100)"]


def test_a_graduated_percentage_takes_each_tiers_share_at_its_rate() -> None:
    rating = rated({"model": "graduated_percentage", "tiers": RATES}, "1500")
    assert str(rating.amount) == "42.00"
    assert labels(rating) == ["First 1,000 tokens at 3% plus USD 2.00", "Above 1,000 tokens at 2%"]
    assert [step.unit_amount for step in rating.steps] == [Decimal("0.03"), Decimal("0.02")]
    assert str(rated({"model": "graduated_percentage", "tiers": RATES}, "0").amount) == "2.00"


def test_a_volume_percentage_takes_the_whole_at_one_rate() -> None:
    rating = rated({"model": "volume_percentage", "tiers": RATES}, "1500")
    assert (str(rating.amount), labels(rating)) == ("30.00", ["1,500 tokens at 2% (tier above 1,000)"])
    assert str(rated({"model": "volume_percentage", "tiers": RATES}, "1000").amount) == "32.00"


BETWEEN = {"model": "per_unit", "unit_amount": "1", "minimum_amount": "20", "maximum_amount": "50"}


@pytest.mark.parametrize(
    ("quantity", "amount", "top_up", "label"),
    [
        ("5", "20.00", "15.00", "Minimum for the period: USD 20.00"),
        ("19.996", "20.00", "0.00", "Minimum for the period: USD 20.00"),
        ("20", "20.00", "0", "20 tokens at USD 1.00"),
        ("60", "50.00", "0", "Maximum for the period: USD 50.00"),
        ("-5", "0.00", "0", "Negative quantity, billed as 0: -5 tokens"),
    ],
)
def test_a_minimum_lifts_and_a_maximum_cuts(quantity: str, amount: str, top_up: str, label: str) -> None:
    rating = rated(BETWEEN, quantity)
    assert (str(rating.amount), str(rating.top_up), labels(rating)[-1]) == (amount, top_up, label)


def test_minimum_and_maximum_come_after_the_discounts() -> None:
    price = BETWEEN | {"discounts": [{"percentage": "50"}]}
    assert str(rated(price, "60").amount) == "30.00"
    assert str(rated(price, "30").amount) == "20.00"


def test_what_is_priced_in_credits_is_rounded_in_credits_and_then_converted() -> None:
    price = {"model": "per_unit", "unit_amount": "0.25", "custom_unit": CREDITS, "currency": "EUR"}
    rating = rated(price, "1001")
    assert labels(rating) == [
        "1,001 tokens at 0.25 credits",
        "Rounded to 250.3 credits",
        "250.3 credits at EUR 0.013 each",
    ]
    assert rating.unrounded == Decimal("3.2539")
    assert str(rating.amount) == "3.25"
    assert rating.steps[0].unit_amount == Decimal("0.00325")


def test_a_minimum_in_credits_tops_up_in_the_currency() -> None:
    price = {"model": "per_unit", "unit_amount": "1", "custom_unit": CREDITS, "minimum_amount": "1000"}
    rating = rated(price, "100")
    assert (str(rating.amount), str(rating.before_minimum), str(rating.top_up)) == ("13.00", "1.30", "11.70")


def test_a_custom_unit_without_a_rate_can_be_read_but_not_rated() -> None:
    price = parse_price({"model": "flat", "amount": "5", "custom_unit": {"code": "credits"}})
    with pytest.raises(PriceError) as caught:
        rate(price, Decimal(0))
    assert (caught.value.code, caught.value.path) == ("rate_needed", "price.custom_unit.rate")


PERCENTAGE = {"model": "percentage", "rate": "1"}


@pytest.mark.parametrize(
    ("price", "code", "path"),
    [
        (PERCENTAGE | {"rate": "-1"}, "out_of_range", "price.rate"),
        (PERCENTAGE | {"free_events": "1.5"}, "out_of_range", "price.free_events"),
        (PERCENTAGE | {"free_amount": "-1"}, "out_of_range", "price.free_amount"),
        (PERCENTAGE | {"minimum_per_event": "2", "maximum_per_event": "1"}, "out_of_range", "price.maximum_per_event"),
        (PERCENTAGE | {"tiers": []}, "unknown_key", "price.tiers"),
        ({"model": "dynamic", "multiplier": 1.5}, "invalid_number", "price.multiplier"),
        (STAIRS | {"tiers": [{"up_to": None}]}, "missing_key", "price.tiers[0].flat_amount"),
        (STAIRS | {"tiers": [{"up_to": None, "unit_amount": "1"}]}, "unknown_key", "price.tiers[0].unit_amount"),
        ({"model": "volume_percentage", "tiers": [{"up_to": "-5", "rate": "1"}, *RATES]}, "tier_order",
         "price.tiers[0].up_to"),
        ({"model": "graduated_percentage", "tiers": RATES[:1]}, "last_tier_not_open", "price.tiers[0].up_to"),
        (PERCENTAGE | {"custom_unit": {"code": "My Credits"}}, "invalid_choice", "price.custom_unit.code"),
        (PERCENTAGE | {"custom_unit": {"code": "credits", "places": 99}}, "out_of_range", "price.custom_unit.places"),
        (PERCENTAGE | {"custom_unit": {"code": "credits", "rate": "0"}}, "out_of_range", "price.custom_unit.rate"),
    ],
)  # fmt: skip
def test_a_wrong_price_is_refused_with_the_path(price: dict[str, Any], code: str, path: str) -> None:
    with pytest.raises(PriceError) as caught:
        parse_price(price)
    assert (caught.value.code, caught.value.path) == (code, path)
    assert caught.value.message.endswith((".", "”"))
