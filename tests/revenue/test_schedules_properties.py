"""Invariants 1, 9 and 11 of the books, for schedules by day."""

from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from customers.currencies import MINOR_PLACES, minor_places
from revenue.recognition.schedules import MonthAmount, by_day


@st.composite
def schedules(draw: st.DrawFn) -> tuple[Decimal, date, date, list[MonthAmount]]:
    currency = draw(st.sampled_from(sorted(MINOR_PLACES)))
    price = Decimal(draw(st.integers(-(10**12), 10**12))).scaleb(-minor_places(currency))
    start = draw(st.dates(date(2020, 1, 1), date(2030, 1, 1)))
    end = start + timedelta(days=draw(st.integers(0, 1500)))
    return price, start, end, by_day(price, currency, start, end)


@given(schedules())
def test_the_deltas_sum_to_the_price(schedule: tuple[Decimal, date, date, list[MonthAmount]]) -> None:
    price, _, _, rows = schedule
    assert sum(row.delta for row in rows) == rows[-1].cumulative == price
    for before, after in pairwise(rows):
        assert after.cumulative - before.cumulative == after.delta


@given(schedules())
def test_recognised_to_date_lies_between_zero_and_the_price_and_never_falls_back(
    schedule: tuple[Decimal, date, date, list[MonthAmount]],
) -> None:
    price, _, _, rows = schedule
    sign = 1 if price >= 0 else -1
    assert all(0 <= sign * row.cumulative <= sign * price for row in rows)
    assert all(sign * row.delta >= 0 for row in rows)


@given(schedules())
def test_the_months_are_those_of_the_service_without_gap(
    schedule: tuple[Decimal, date, date, list[MonthAmount]],
) -> None:
    _, start, end, rows = schedule
    last = max(start, end - timedelta(days=1))
    assert (rows[0].month, rows[-1].month) == (start.replace(day=1), last.replace(day=1))
    assert len(rows) == (last.year - start.year) * 12 + last.month - start.month + 1
    assert all(27 < (after.month - before.month).days < 32 for before, after in pairwise(rows))


@given(st.integers(-(10**9), 10**9), st.dates(date(2020, 1, 1), date(2030, 1, 1)), st.integers(1, 800))
def test_splitting_a_line_into_equal_halves_moves_no_month_by_more_than_a_cent(
    half: int, start: date, days: int
) -> None:
    end = start + timedelta(days=days)
    price = Decimal(half).scaleb(-2)
    whole, part = by_day(2 * price, "USD", start, end), by_day(price, "USD", start, end)
    for one, other in zip(whole, part, strict=True):
        assert abs(one.cumulative - 2 * other.cumulative) <= Decimal("0.01")
    assert whole[-1].cumulative == 2 * part[-1].cumulative
