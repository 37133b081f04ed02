"""Bars of usage: as high as their quantities, at the places of their days."""

from datetime import date, timedelta
from decimal import Decimal

from billing.hosted.charts import HEIGHT, WIDTH, chart_of
from billing.hosted.words import LANGUAGES, WORDS
from billing.invoicing.explaining.pivot import Use, pivot

FIRST = date(2023, 11, 1)


def use(day: int, quantity: int, *values: str) -> Use:
    return FIRST + timedelta(days=day), values, Decimal(quantity)


def test_it_works() -> None:
    chart = chart_of(pivot([use(0, 10), use(3, 5)]))
    assert chart is not None
    assert (chart.top, chart.first, chart.last) == (Decimal(10), "2023-11-01", "2023-11-04")
    assert [(bar.x, bar.y, bar.height) for bar in chart.bars] == [
        ("0.00", "0.00", f"{HEIGHT}.00"), (f"{3 * WIDTH / 4:.2f}", "80.00", "80.00"),
    ]  # fmt: skip


def test_values_of_a_day_stand_on_each_other() -> None:
    chart = chart_of(pivot([use(0, 30, "eu"), use(0, 10, "us")]))
    assert chart is not None
    lower, upper = chart.bars
    assert (lower.series, upper.series) == (0, 1)
    assert Decimal(upper.y) + Decimal(upper.height) == Decimal(lower.y)
    assert Decimal(upper.y) == 0


def test_a_long_time_is_drawn_by_month() -> None:
    chart = chart_of(pivot([use(day, 1) for day in range(100)]))
    assert chart is not None
    assert [bar.when for bar in chart.bars] == ["2023-11", "2023-12", "2024-01", "2024-02"]


def test_nothing_used_is_no_chart_and_what_was_taken_back_is_not_drawn() -> None:
    assert chart_of(pivot([])) is None
    assert chart_of(pivot([use(0, 0)])) is None
    chart = chart_of(pivot([use(0, 10, "eu"), use(1, -4, "eu")]))
    assert chart is not None
    assert [bar.when for bar in chart.bars] == ["2023-11-01"]


def test_every_text_stands_in_every_language_with_the_same_variables() -> None:
    for key, texts in WORDS.items():
        assert len(texts) == len(LANGUAGES), key
        assert all(texts), key
        assert len({frozenset(part.split("}")[0] for part in text.split("{")[1:]) for text in texts}) == 1, key
