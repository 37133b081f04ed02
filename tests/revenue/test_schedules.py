"""A fee is earned by day, and every cent of it."""

from datetime import date
from decimal import Decimal

import pytest

from revenue.recognition.schedules import by_day


def deltas(price: str, start: date, end: date, currency: str = "USD") -> list[str]:
    return [str(row.delta) for row in by_day(Decimal(price), currency, start, end)]


def test_it_works() -> None:
    rows = by_day(Decimal("1200"), "USD", date(2025, 1, 1), date(2026, 1, 1))
    assert [str(row.delta) for row in rows[:3]] == ["101.92", "92.05", "101.92"]
    assert [row.month for row in rows] == [date(2025, month, 1) for month in range(1, 13)]
    assert str(rows[-1].cumulative) == "1200.00"


def test_a_stub_earns_by_its_days() -> None:
    assert deltas("100", date(2025, 1, 17), date(2025, 2, 16)) == ["50.00", "50.00"]


def test_service_that_ends_on_a_first_does_not_touch_that_month() -> None:
    assert deltas("100", date(2025, 12, 1), date(2026, 1, 1)) == ["100.00"]


def test_rounding_in_one_month_is_made_good_in_the_next() -> None:
    assert deltas("0.01", date(2025, 1, 1), date(2025, 5, 1)) == ["0.00", "0.00", "0.01", "0.00"]
    assert deltas("100", date(2025, 4, 30), date(2025, 5, 3), "JPY") == ["33", "67"]


def test_a_negative_fee_mirrors() -> None:
    start, end = date(2025, 1, 20), date(2025, 4, 3)
    assert deltas("-99.99", start, end) == ["-" + delta for delta in deltas("99.99", start, end)]


def test_service_without_a_day_is_earned_in_the_month_of_its_start() -> None:
    assert deltas("25", date(2025, 3, 31), date(2025, 3, 31)) == ["25.00"]
    assert deltas("25", date(2025, 3, 1), date(2025, 3, 1)) == ["25.00"]


def test_an_end_before_the_start_is_refused() -> None:
    with pytest.raises(ValueError, match="before it starts"):
        by_day(Decimal("1"), "USD", date(2025, 3, 2), date(2025, 3, 1))


def test_a_price_finer_than_a_cent_is_refused() -> None:
    with pytest.raises(ValueError, match="finer than the minor unit"):
        by_day(Decimal("1.005"), "USD", date(2025, 3, 1), date(2025, 4, 1))
