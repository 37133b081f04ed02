"""What holds for every amount, weight and currency."""

from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from billing.money import allocate, parse_decimal, plain, round_money
from customers.currencies import MINOR_PLACES, minor_places

currencies = st.sampled_from(sorted(MINOR_PLACES))
decimals = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**15), max_value=10**15, places=6)


@given(st.integers(-(10**18), 10**18), st.lists(st.fractions(0, 1000), min_size=1).filter(any), currencies)
def test_splitting_loses_nothing_and_no_part_is_off_by_a_minor_unit(
    minor: int, weights: list[Fraction], currency: str
) -> None:
    unit = Fraction(1, 10 ** minor_places(currency))
    amount = Decimal(minor).scaleb(-minor_places(currency))
    parts = allocate(amount, weights, currency)
    assert sum(parts) == amount
    for part, weight in zip(parts, weights, strict=True):
        assert abs(Fraction(part) - Fraction(amount) * weight / sum(weights)) < unit
        assert weight or not part


@given(st.fractions(), currencies)
def test_rounding_mirrors_and_moves_by_half_a_minor_unit_at_most(amount: Fraction, currency: str) -> None:
    rounded = round_money(amount, currency)
    assert rounded == round_money(-amount, currency).copy_negate()
    assert abs(Fraction(rounded) - amount) * 2 <= Fraction(1, 10 ** minor_places(currency))
    assert not (rounded == 0 and rounded.is_signed())


@given(decimals, currencies)
def test_a_decimal_rounds_as_the_same_fraction(amount: Decimal, currency: str) -> None:
    assert str(round_money(amount, currency)) == str(round_money(Fraction(amount), currency))


@given(decimals)
def test_a_decimal_survives_being_written_and_read(number: Decimal) -> None:
    assert parse_decimal(plain(number), "x") == number
    assert plain(parse_decimal(plain(number), "x")) == plain(number)
