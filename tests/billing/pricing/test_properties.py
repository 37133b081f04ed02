"""What holds for every price and quantity."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from billing.money import round_money
from billing.pricing import Price, Step, parse_price, price_to_json, rate
from billing.pricing.prices import Discount, Flat, Graduated, Model, Package, PerUnit, Tier, Unit, Volume
from customers.currencies import MINOR_PLACES


def decimals(low: int, high: int, places: int = 6) -> st.SearchStrategy[Decimal]:
    return st.decimals(low, high, allow_nan=False, allow_infinity=False, places=places)


amounts = decimals(0, 1000)
sizes = decimals(1, 1000, 2)
quantities = decimals(0, 10_000, 3)


@st.composite
def tiers(draw: st.DrawFn, *, packages: bool = True, flats: bool = True) -> tuple[Tier, ...]:
    bounds = [*sorted(draw(st.sets(sizes, max_size=4))), None]
    return tuple(
        Tier(
            bound,
            unit := draw(st.none() | amounts),
            draw(st.none() | amounts) if flats else None,
            draw(st.none() | sizes) if packages and unit is not None else None,
        )
        for bound in bounds
    )


models: st.SearchStrategy[Model] = st.one_of(
    st.builds(Flat, amounts),
    st.builds(PerUnit, amounts),
    st.builds(Graduated, tiers(), st.booleans()),
    st.builds(Volume, tiers(), st.booleans()),
    st.builds(Package, sizes, amounts, st.sampled_from(["up", "down"])),
)
discounts = st.builds(Discount, percentage=decimals(0, 100, 2)) | st.builds(Discount, amount=amounts)
prices = st.builds(
    Price,
    models,
    st.sampled_from(sorted(MINOR_PLACES)),
    st.builds(Unit, sizes, st.sampled_from(["none", "up", "down", "half_up"])) | st.just(Unit()),
    decimals(0, 500, 2),
    st.lists(discounts, max_size=3).map(tuple),
)


def unrounded(price: Price, quantity: Decimal) -> Fraction:
    return Fraction(rate(price, quantity).unrounded)


@given(prices, decimals(-100, 10_000, 3))
def test_the_steps_add_up_to_the_unrounded_amount(price: Price, quantity: Decimal) -> None:
    rating = rate(price, quantity)
    total = sum((Fraction(step.amount) for step in rating.steps), Fraction(0))
    assert total == Fraction(rating.unrounded)
    assert rating.amount == round_money(total, price.currency)
    assert rating.steps
    stored: Any = rating.to_json()
    assert sum(Fraction(step["amount"]) for step in stored["steps"]) == Fraction(stored["unrounded"])


@given(prices, quantities)
def test_a_charged_step_is_its_quantity_times_its_unit_amount_plus_its_flat_amount(
    price: Price, quantity: Decimal
) -> None:
    def expected(step: Step) -> Fraction:
        return Fraction(step.quantity or 0) * Fraction(step.unit_amount or 0) + Fraction(step.flat_amount or 0)

    for step in rate(price, quantity).steps:
        if step.unit_amount is not None or step.flat_amount is not None:
            assert Fraction(step.amount) == expected(step)


@given(prices, quantities)
def test_a_price_without_negative_amounts_never_bills_less_than_nothing(price: Price, quantity: Decimal) -> None:
    assert rate(price, quantity).amount >= 0


@given(st.builds(Graduated, tiers(), st.booleans()), quantities, quantities)
def test_graduated_never_falls_as_the_quantity_grows(model: Graduated, one: Decimal, other: Decimal) -> None:
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


def scaled(item: Any, factor: Decimal) -> Any:
    """A copy whose amounts of money are multiplied, and nothing else."""
    named = {name: getattr(item, name, None) for name in ("amount", "unit_amount", "flat_amount")}
    return replace(item, **{name: value * factor for name, value in named.items() if value is not None})


@given(prices, quantities, decimals(0, 50, 2))
def test_scaling_all_amounts_scales_the_unrounded_result(price: Price, quantity: Decimal, factor: Decimal) -> None:
    model = scaled(price.model, factor)
    if isinstance(model, Graduated | Volume):
        model = replace(model, tiers=tuple(scaled(tier, factor) for tier in model.tiers))
    larger = replace(price, model=model, discounts=tuple(scaled(one, factor) for one in price.discounts))
    assert unrounded(larger, quantity) == unrounded(price, quantity) * Fraction(factor)


@given(prices, quantities)
def test_a_price_survives_its_json(price: Price, quantity: Decimal) -> None:
    written = price_to_json(price)
    assert parse_price(written) == price
    assert price_to_json(parse_price(written)) == written
    assert rate(parse_price(written), quantity) == rate(price, quantity)
