"""Random prices of every model, and random usage that each of them takes."""

from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from billing.pricing import Cells, Events, EventUse, Price, Usage, needs
from billing.pricing.prices import (
    Cell,
    CustomUnit,
    Discount,
    Dynamic,
    Flat,
    Graduated,
    GraduatedPercentage,
    Matrix,
    Model,
    Package,
    Percentage,
    PerUnit,
    RateTier,
    Stairstep,
    Tier,
    Unit,
    Volume,
    VolumePercentage,
)
from customers.currencies import MINOR_PLACES

REGIONS = ("eu", "us", "asia")
SIZES = ("large", "small")


def decimals(low: int, high: int, places: int = 6) -> st.SearchStrategy[Decimal]:
    return st.decimals(low, high, allow_nan=False, allow_infinity=False, places=places)


amounts = decimals(0, 1000)
sizes = decimals(1, 1000, 2)
rates = decimals(0, 30, 3)
quantities = decimals(0, 10_000, 3)
units = st.builds(Unit, sizes, st.sampled_from(["none", "up", "down", "half_up"])) | st.just(Unit())
discounts = st.lists(
    st.builds(Discount, percentage=decimals(0, 100, 2)) | st.builds(Discount, amount=amounts), max_size=3
).map(tuple)


@st.composite
def bounds(draw: st.DrawFn) -> list[Decimal | None]:
    return [*sorted(draw(st.sets(sizes, max_size=4))), None]


@st.composite
def tiers(draw: st.DrawFn, *, packages: bool = True, flats: bool = True) -> tuple[Tier, ...]:
    return tuple(
        Tier(
            bound,
            unit := draw(st.none() | amounts),
            draw(st.none() | amounts) if flats else None,
            draw(st.none() | sizes) if packages and unit is not None else None,
        )
        for bound in draw(bounds())
    )


@st.composite
def rate_tiers(draw: st.DrawFn, *, flats: bool = True) -> tuple[RateTier, ...]:
    return tuple(RateTier(bound, draw(rates), draw(st.none() | amounts) if flats else None) for bound in draw(bounds()))


@st.composite
def stairs(draw: st.DrawFn) -> tuple[Tier, ...]:
    return tuple(Tier(bound, flat_amount=draw(amounts)) for bound in draw(bounds()))


@st.composite
def percentages(draw: st.DrawFn) -> Percentage:
    low, high = sorted([draw(decimals(0, 50, 2)), draw(decimals(0, 50, 2))])
    return Percentage(
        draw(rates),
        draw(st.none() | decimals(0, 5, 2)),
        draw(st.none() | st.integers(0, 5)),
        draw(st.none() | decimals(0, 2000, 2)),
        draw(st.none() | st.just(low)),
        draw(st.none() | st.just(high)),
    )


models: st.SearchStrategy[Model] = st.one_of(
    st.builds(Flat, amounts),
    st.builds(PerUnit, amounts),
    st.builds(Graduated, tiers(), st.booleans()),
    st.builds(Volume, tiers(), st.booleans()),
    st.builds(Package, sizes, amounts, st.sampled_from(["up", "down"])),
    st.builds(Stairstep, stairs()),
    percentages(),
    st.builds(GraduatedPercentage, rate_tiers()),
    st.builds(VolumePercentage, rate_tiers()),
    st.builds(Dynamic, decimals(0, 5, 3)),
)


@st.composite
def bounded(draw: st.DrawFn, model: st.SearchStrategy[Model], currency: str | None = None) -> Price:
    low, high = sorted([draw(amounts), draw(amounts)])
    return Price(
        draw(model),
        currency or draw(st.sampled_from(sorted(MINOR_PLACES))),
        draw(units),
        draw(st.just(Decimal(0)) | decimals(0, 500, 2)),
        draw(discounts),
        draw(st.none() | st.just(low)),
        draw(st.none() | st.just(high)),
    )


@st.composite
def matrices(draw: st.DrawFn, *, default: bool = True) -> Matrix:
    dimensions = draw(st.sampled_from([("region",), ("region", "size")]))
    combinations: list[tuple[str, ...]] = [(region,) for region in REGIONS[:2]]
    if len(dimensions) == 2:
        combinations = [(region, size) for region in REGIONS[:2] for size in SIZES]
    cells = tuple(Cell(when, draw(bounded(models, "USD"))) for when in combinations)
    return Matrix(dimensions, cells, draw(bounded(models, "USD")) if default else None)


plain_prices = bounded(models)
matrix_prices = bounded(matrices(), "USD")
custom_units = st.builds(CustomUnit, st.sampled_from(["credits", "tokens"]), st.integers(0, 4), decimals(1, 100, 4))


@st.composite
def events(draw: st.DrawFn) -> Events:
    rows = draw(
        st.lists(st.tuples(decimals(0, 500, 2), st.sampled_from(REGIONS), st.sampled_from([*SIZES, None])), max_size=12)
    )
    return Events(tuple(EventUse(amount, (("region", region), ("size", size))) for amount, region, size in rows))


@st.composite
def cells(draw: st.DrawFn, dimensions: tuple[str, ...]) -> Cells:
    places: dict[str, Any] = {"region": st.sampled_from(REGIONS), "size": st.sampled_from([*SIZES, None])}
    keys = draw(st.sets(st.tuples(*(places[name] for name in dimensions)), max_size=6))
    return Cells(dimensions, tuple((key, draw(quantities)) for key in sorted(keys, key=str)))


@st.composite
def rated(draw: st.DrawFn, prices: st.SearchStrategy[Price]) -> tuple[Price, Usage]:
    """A price with usage that it takes."""
    price = draw(prices)
    need = needs(price)
    if need.kind == "quantity":
        return price, draw(quantities)
    if need.kind == "cells":
        return price, draw(cells(need.dimensions))
    return price, draw(events())


all_prices = st.one_of(plain_prices, matrix_prices)
