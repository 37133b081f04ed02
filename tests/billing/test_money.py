"""Money is exact: read, rounded, split and written without losing anything."""

import decimal
from decimal import Decimal
from fractions import Fraction

import pytest

from billing.money import AmountError, allocate, parse_decimal, plain, round_money
from customers.currencies import MINOR_PLACES, UnknownCurrency, is_currency, minor_places


def test_it_works() -> None:
    assert str(round_money(Decimal("139.505"), "USD")) == "139.51"


@pytest.mark.parametrize(
    ("amount", "currency", "rounded"),
    [
        (Decimal("0.005"), "USD", "0.01"),
        (Decimal("-0.005"), "USD", "-0.01"),
        (Decimal("-0.004"), "USD", "0.00"),
        (Fraction(1, 3), "KWD", "0.333"),
        (Fraction(-1, 200), "USD", "-0.01"),
        (Fraction(-1, 300), "USD", "0.00"),
        (Decimal("0.5"), "JPY", "1"),
        (Decimal("1E+30"), "EUR", "1" + "0" * 30 + ".00"),
    ],
)
def test_rounding_is_half_away_from_zero_with_the_places_of_the_currency(
    amount: Decimal | Fraction, currency: str, rounded: str
) -> None:
    assert str(round_money(amount, currency)) == rounded


def test_rounding_ignores_the_context_of_the_thread() -> None:
    with decimal.localcontext(prec=3):
        assert str(round_money(Decimal("123456789.125"), "USD")) == "123456789.13"
        assert sum(allocate(Decimal("10"), [1, 1, 1], "USD")) == 10


def test_the_largest_remainder_gets_the_odd_cent_and_ties_go_to_the_earlier_part() -> None:
    assert [str(part) for part in allocate(Decimal("100"), [1, 1, 1], "USD")] == ["33.34", "33.33", "33.33"]
    assert [str(part) for part in allocate(Decimal("1"), [1, 2, 2, 1], "JPY")] == ["0", "1", "0", "0"]


def test_a_negative_amount_is_split_as_its_mirror() -> None:
    assert [str(part) for part in allocate(Decimal("-100"), [1, 0, 1, 1], "USD")] == [
        "-33.34",
        "0.00",
        "-33.33",
        "-33.33",
    ]


@pytest.mark.parametrize("weights", [[], [0, 0], [1, -1, 3]])
def test_weights_that_cannot_split_are_refused(weights: list[int]) -> None:
    with pytest.raises(ValueError, match="weights of 0 or more"):
        allocate(Decimal("1"), weights, "USD")


def test_an_amount_finer_than_a_cent_is_not_split() -> None:
    with pytest.raises(ValueError, match="finer than the minor unit"):
        allocate(Decimal("1.005"), [1, 1], "USD")


@pytest.mark.parametrize(
    ("value", "text"),
    [("0.10", "0.1"), (-5, "-5"), ("1e3", "1000"), ("-0.0", "0"), ("+.5", "0.5"), (10**39, "1" + "0" * 39)],
)
def test_decimal_strings_and_integers_are_read_exactly(value: object, text: str) -> None:
    assert plain(parse_decimal(value, "price.amount")) == text


@pytest.mark.parametrize(
    "value",
    [
        1.5,
        True,
        None,
        "",
        " 1",
        "1_000",
        "1,5",
        "NaN",
        "Infinity",
        "-inf",
        "٣",
        "1e41",
        "1e-41",
        "1e99999",
        "9" * 41,
        10**40,
        pytest.param(10**5000, id="beyond str()"),
        "0x10",
        Decimal("1"),
    ],
)
def test_what_is_no_exact_decimal_is_refused_with_its_path(value: object) -> None:
    with pytest.raises(AmountError, match=r"^price\.amount: ") as caught:
        parse_decimal(value, "price.amount")
    assert caught.value.path == "price.amount"


@pytest.mark.parametrize("number", ["NaN", "Infinity"])
def test_what_is_no_number_has_no_text(number: str) -> None:
    with pytest.raises(ValueError, match="no decimal text"):
        plain(Decimal(number))


def test_the_table_of_currencies_follows_the_standard() -> None:
    assert [minor_places(code) for code in ("JPY", "HUF", "USD", "IQD", "KWD", "CLF", "UYW")] == [0, 2, 2, 3, 3, 4, 4]
    assert all(len(code) == 3 and code.isupper() for code in MINOR_PLACES)
    assert is_currency("EUR")
    assert not any(map(is_currency, ["eur", "XAU", "XXX", "", None, ["EUR"]]))


def test_an_unknown_currency_is_named_with_the_way_out() -> None:
    with pytest.raises(UnknownCurrency, match=r"'EURO'.*three-letter"):
        round_money(Decimal("1"), "EURO")
