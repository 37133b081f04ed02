"""What holds for every price and whatever is used."""

from dataclasses import fields, is_dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from billing.money import round_money
from billing.pricing import Cells, Events, Price, PriceError, Step, Usage, parse_price, price_to_json, rate
from billing.pricing.prices import CustomUnit, Graduated, GraduatedPercentage, Model, Tier
from tests.billing.pricing.strategies import (
    all_prices,
    bounded,
    custom_units,
    decimals,
    matrices,
    plain_prices,
    quantities,
    rate_tiers,
    rated,
    tiers,
)

Case = tuple[Price, Usage]


def unrounded(price: Price, usage: Usage) -> Fraction:
    return Fraction(rate(price, usage).unrounded)


@given(rated(all_prices), st.none() | custom_units)
def test_the_steps_add_up_to_the_unrounded_amount(case: Case, unit: CustomUnit | None) -> None:
    price, usage = case
    rating = rate(replace(price, custom_unit=unit), usage)
    total = sum((Fraction(step.amount) for step in rating.steps), Fraction(0))
    assert total == Fraction(rating.unrounded)
    assert rating.amount == round_money(total, price.currency)
    assert rating.steps
    stored: Any = rating.to_json()
    assert sum(Fraction(step["amount"]) for step in stored["steps"]) == Fraction(stored["unrounded"])


@given(plain_prices, decimals(-100, -1, 3))
def test_a_negative_quantity_bills_nothing_whatever_the_price(price: Price, quantity: Decimal) -> None:
    price = replace(price, model=Graduated((Tier(None, Decimal(1), Decimal(5)),)))
    assert rate(price, quantity).amount == 0


@given(rated(all_prices), st.none() | custom_units)
def test_a_charged_step_is_its_quantity_times_its_unit_amount_plus_its_flat_amount(
    case: Case, unit: CustomUnit | None
) -> None:
    def expected(step: Step) -> Fraction:
        return Fraction(step.quantity or 0) * Fraction(step.unit_amount or 0) + Fraction(step.flat_amount or 0)

    price, usage = case
    for step in rate(replace(price, custom_unit=unit), usage).steps:
        if step.unit_amount is not None or step.flat_amount is not None:
            assert Fraction(step.amount) == expected(step)


@given(rated(all_prices))
def test_the_amount_lies_between_the_minimum_and_the_maximum_and_never_below_zero(case: Case) -> None:
    price, usage = case
    amount = unrounded(price, usage)
    assert amount >= 0
    assert price.minimum_amount is None or amount >= price.minimum_amount
    assert price.maximum_amount is None or amount <= price.maximum_amount


@given(rated(all_prices), st.none() | custom_units)
def test_what_a_minimum_tops_up_is_what_the_amount_is_more_than_without_it(case: Case, unit: CustomUnit | None) -> None:
    price, usage = replace(case[0], custom_unit=unit), case[1]
    rating = rate(price, usage)
    assert rating.before_minimum == rate(replace(price, minimum_amount=None), usage).amount
    assert rating.before_minimum + rating.top_up == rating.amount
    assert rating.top_up >= 0


@given(
    st.builds(Graduated, tiers(), st.booleans()) | st.builds(GraduatedPercentage, rate_tiers()), quantities, quantities
)
def test_graduated_never_falls_as_the_quantity_grows(model: Model, one: Decimal, other: Decimal) -> None:
    price = Price(model)
    assert unrounded(price, min(one, other)) <= unrounded(price, max(one, other))


@given(tiers(packages=False, flats=False))
def test_graduated_is_continuous_at_its_bounds_apart_from_flat_amounts(rows: tuple[Tier, ...]) -> None:
    price, step = Price(Graduated(rows)), Decimal("0.000001")
    highest = max((Fraction(row.unit_amount or 0) for row in rows), default=Fraction(0))
    for bound in (row.up_to for row in rows[:-1]):
        assert bound is not None
        assert unrounded(price, bound + step) - unrounded(price, bound) <= highest * Fraction(step)


@given(tiers(packages=False), st.lists(quantities, min_size=1, max_size=5))
def test_rating_a_growing_total_and_billing_the_differences_equals_rating_at_once(
    rows: tuple[Tier, ...], parts: list[Decimal]
) -> None:
    price, billed, total = Price(Graduated(rows)), Decimal(0), Decimal(0)
    for part in parts:
        total += part
        billed += rate(price, total).amount - billed
    assert billed == rate(price, sum(parts, Decimal(0))).amount


@given(tiers(packages=False, flats=False), quantities, quantities)
def test_a_graduated_quantity_splits_into_what_each_part_fills(
    rows: tuple[Tier, ...], first: Decimal, second: Decimal
) -> None:
    def by_hand(low: Decimal, high: Decimal) -> Fraction:
        total, lower = Fraction(0), Decimal(0)
        for row in rows:
            upper = high if row.up_to is None else min(high, row.up_to)
            total += Fraction(max(upper - max(low, lower), Decimal(0))) * Fraction(row.unit_amount or 0)
            lower = row.up_to or lower
        return total

    price = Price(Graduated(rows))
    assert unrounded(price, first) == by_hand(Decimal(0), first)
    assert unrounded(price, first + second) - unrounded(price, first) == by_hand(first, first + second)


MONEY = frozenset({
    "amount", "unit_amount", "flat_amount", "rate", "fixed_amount", "minimum_per_event", "maximum_per_event",
    "multiplier", "minimum_amount", "maximum_amount",
})  # fmt: skip


def scaled(item: Any, factor: Decimal) -> Any:
    """A copy whose amounts of money are multiplied, however deep they stand, and nothing else."""
    if isinstance(item, tuple):
        return tuple(scaled(each, factor) for each in item)
    if not is_dataclass(item) or isinstance(item, type):
        return item
    values = {each.name: getattr(item, each.name) for each in fields(item)}
    return replace(
        item,
        **{
            name: value * factor if name in MONEY and value is not None else scaled(value, factor)
            for name, value in values.items()
        },
    )


@given(rated(all_prices), decimals(0, 50, 2))
def test_scaling_all_amounts_scales_the_unrounded_result(case: Case, factor: Decimal) -> None:
    price, usage = case
    assert unrounded(scaled(price, factor), usage) == unrounded(price, usage) * Fraction(factor)


@given(rated(bounded(matrices(), "USD").map(lambda price: Price(price.model))))
def test_a_matrix_is_the_sum_of_its_cells(case: Case) -> None:
    price, usage = case
    model: Any = price.model
    own = {cell.when: cell.price for cell in model.cells}
    used: dict[tuple[str | None, ...], list[Any]] = {}
    if isinstance(usage, Cells):
        expected = sum((unrounded(own.get(key, model.default), quantity) for key, quantity in usage.rows), Fraction(0))
    else:
        assert isinstance(usage, Events)
        for event in usage.rows:
            key = tuple(dict(event.dimensions)[name] for name in model.dimensions)
            used.setdefault(key, []).append(event)
        expected = sum(
            (unrounded(own.get(key, model.default), Events(tuple(rows))) for key, rows in used.items()), Fraction(0)
        )
    assert unrounded(price, usage) == expected


@given(all_prices, st.none() | st.builds(CustomUnit, st.just("credits"), st.integers(0, 12), decimals(1, 9)))
def test_a_price_survives_its_json(price: Price, unit: CustomUnit | None) -> None:
    price = replace(price, custom_unit=unit)
    written = price_to_json(price)
    assert parse_price(written) == price
    assert price_to_json(parse_price(written)) == written


@given(rated(all_prices))
def test_a_price_rates_the_same_after_its_json(case: Case) -> None:
    price, usage = case
    assert rate(parse_price(price_to_json(price)), usage) == rate(price, usage)


NUMBERS = MONEY | {"percentage", "divide_by", "free_quantity", "free_amount", "free_events", "package_size", "up_to"}


def numbers_in(item: Any, path: str) -> list[tuple[Any, Any, str]]:
    """Each number of a price's JSON: the object or list that holds it, its key, and the path to it."""
    inner: list[tuple[Any, Any, str]]
    if isinstance(item, dict):
        inner = [(item, key, f"{path}.{key}") for key in item]
    elif isinstance(item, list):
        inner = [(item, place, f"{path}[{place}]") for place in range(len(item))]
    else:
        return []
    here = [each for each in inner if each[1] in NUMBERS and isinstance(each[0][each[1]], str)]
    return here + [found for holder, key, at in inner for found in numbers_in(holder[key], at)]


@given(all_prices, st.data())
def test_a_float_anywhere_in_a_price_is_refused_with_its_path(price: Price, data: st.DataObject) -> None:
    written = price_to_json(price)
    places = numbers_in(written, "price")
    assume(places)
    holder, key, path = data.draw(st.sampled_from(places))
    holder[key] = 0.5
    with pytest.raises(PriceError) as caught:
        parse_price(written)
    assert (caught.value.code, caught.value.path) == ("invalid_number", path)


@given(all_prices, st.data())
def test_an_unknown_key_anywhere_in_a_price_is_refused_with_its_path(price: Price, data: st.DataObject) -> None:
    written = price_to_json(price)
    holders = [(written, "price")]
    for name in ("tiers", "discounts", "cells"):
        holders += [(row, f"price.{name}[{place}]") for place, row in enumerate(written.get(name, ()))]
    holder, path = data.draw(st.sampled_from(holders))
    holder["surprise"] = "1"
    with pytest.raises(PriceError) as caught:
        parse_price(written)
    assert (caught.value.code, caught.value.path) == ("unknown_key", f"{path}.surprise")
