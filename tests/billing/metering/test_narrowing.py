"""A meter narrowed by more filters: what dimensions tell is what events tell, and nothing else is told by them."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.metering.filters import matches, read_filters
from billing.metering.narrowing import passes, told_by

VALUES: list[Any] = [None, "eu", "us", "1", 1, Decimal("1.5"), "1.5", True, "true", -3, {"a": 1}, [1]]
FILTERS: list[dict[str, Any]] = [
    {"x": "eu"}, {"x": ["eu", "us"]}, {"x": {"not": ["eu"]}}, {"x": {"gte": "1"}}, {"x": {"lt": "1.5", "gt": "-9"}},
    {"x": {"not": ["us"], "lt": "3"}}, {"x": "1"}, {"x": 1}, {"x": True}, {"x": {"exists": True}}, {"x": "true"},
]  # fmt: skip


def label(value: Any) -> str | None:
    """A dimension's text, as rollups keep it."""
    if isinstance(value, bool):
        return str(value).lower()
    return None if value is None or isinstance(value, dict | list) else str(value)


@given(st.sampled_from(FILTERS), st.sampled_from(VALUES))
def test_it_works(written: dict[str, Any], value: Any) -> None:
    filters = read_filters(written, "filters")
    if told_by(filters, ["x"]):
        assert passes(filters, ["x"], [label(value)]) is all(matches(each, {"x": value}) for each in filters)


@pytest.mark.parametrize("written", FILTERS[:6])
def test_words_and_bounds_are_told_by_dimensions(written: dict[str, Any]) -> None:
    assert told_by(read_filters(written, "filters"), ["y", "x"])
    assert not told_by(read_filters(written, "filters"), ["y"])


@pytest.mark.parametrize("written", FILTERS[6:])
def test_what_may_be_a_number_or_a_text_is_not_told(written: dict[str, Any]) -> None:
    assert not told_by(read_filters(written, "filters"), ["x"])
