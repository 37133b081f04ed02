"""Filters in rows: what is written is read as the same again, and what says nothing is told why."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.metering.meters.rows import Row, RowError, filters_of, rows_of, values_of


def test_it_works() -> None:
    rows = [Row("region", "is", 'eu, "1", 1, 2.50, true'), Row("seconds", "gte", "10"), Row("seconds", "lt", "20")]
    assert filters_of([*rows, Row(" ")]) == {
        "region": ["eu", "1", 1, Decimal("2.50"), True],
        "seconds": {"gte": "10", "lt": "20"},
    }
    assert rows_of(filters_of(rows)) == rows


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
options = texts | st.integers() | st.decimals(-100, 100, places=2) | st.booleans() | st.sampled_from(["1", "true", ""])
several = st.lists(options, min_size=1, max_size=4)
conditions = st.fixed_dictionaries(
    {}, optional={"not": several, "gte": st.just("1"), "lt": st.just("-2.5"), "exists": st.booleans()}
).filter(bool)
names = texts.map(lambda name: f"p{name}".strip())


@given(st.dictionaries(names, several | conditions, max_size=3))
def test_what_is_written_is_read_as_the_same(filters: dict[str, Any]) -> None:
    again = filters_of(rows_of(filters))
    assert again == filters
    assert repr([type(value) for value in again.values()]) == repr([type(value) for value in filters.values()])


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([Row("a", "is", "")], "lists no values"),
        ([Row("", "is", "eu")], "names no property"),
        ([Row("a", "is", "eu"), Row("a", "not", "us")], "stands alone"),
        ([Row("a", "not", "us"), Row("a", "is", "eu")], "stands alone"),
        ([Row("a", "gt", "1"), Row("a", "gt", "2")], "Two rows say of a what it is more than"),
        ([Row("a", "like", "1")], "'like' is no condition"),
        ([Row("a", "is", '"open')], "is not understood"),
        ([Row("a", "is", '"a\\q"')], "write a backslash"),
        ([Row("a", "is", "eu,, us")], "is not understood"),
    ],
)
def test_a_row_that_cannot_be_kept_is_told_why(rows: list[Row], sentence: str) -> None:
    with pytest.raises(RowError) as raised:
        filters_of(rows)
    assert sentence in str(raised.value)


def test_values_may_hold_commas_in_quotes() -> None:
    assert values_of('"a, b" , c d,"\\"" ') == ["a, b", "c d", '"']
