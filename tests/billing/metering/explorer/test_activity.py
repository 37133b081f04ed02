"""What counts for nobody, and what cannot be read: the same whether it is pending or counted already."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from billing.metering.explorer.activity import Unmatched, events_by_day, unmatched_subjects, unmatched_types
from billing.metering.explorer.unreadable import Unreadable, unreadable
from billing.metering.rollups.services import catch_up
from tests.billing.metering.test_queries import at, customer, meter, record

pytestmark = pytest.mark.django_db
MARCH = date(2026, 3, 1)


@pytest.fixture(params=[False, True], ids=["pending", "rolled up"])
def rolled_up(request: Any) -> Any:
    """Roll up what was recorded, or leave it pending."""
    return catch_up if request.param else lambda: None


def test_it_works(rolled_up: Any) -> None:
    customer("acme", ("a", at(5), at(10)))
    record(
        ("a", "call", at(4, 23), {}), ("a", "call", at(5), {}), ("a", "call", at(9, 23), {}),
        ("b", "call", at(1), {}), ("b", "call", at(2), {}), ("b", "call", at(10), {}),
        ("c", "call", datetime(2026, 2, 1, tzinfo=UTC), {}),
    )  # fmt: skip
    rolled_up()
    found = [Unmatched("b", 3, at(1), at(10)), Unmatched("a", 1, at(4, 23), at(4, 23))]
    assert unmatched_subjects(MARCH) == found
    assert unmatched_subjects(MARCH, limit=1) == found[:1]
    customer("beta", ("b", None, None))
    assert unmatched_subjects(MARCH) == found[1:]


def test_a_day_that_a_claim_cuts_is_counted_to_the_instant(rolled_up: Any) -> None:
    customer("acme", ("a", at(5, 12), None))
    customer("beta", ("a", None, at(5, 6)))
    record(*(("a", "call", at(5, hour), {}) for hour in (5, 6, 11, 12, 13)))
    rolled_up()
    assert unmatched_subjects(MARCH) == [Unmatched("a", 2, at(5, 6), at(5, 11))]


def test_days_partly_counted_and_partly_pending_are_whole() -> None:
    customer("acme", ("a", at(5, 12), None))
    record(("a", "call", at(5, 1), {}), ("a", "call", at(4), {}), ("b", "call", at(4), {}))
    catch_up()
    record(("a", "x", at(5, 2), {}), ("a", "x", at(5, 13), {}), ("b", "x", at(4, 1), {}))
    assert unmatched_subjects(MARCH) == [Unmatched("a", 3, at(4), at(5, 2)), Unmatched("b", 2, at(4), at(4, 1))]
    assert events_by_day(MARCH) == [(date(2026, 3, 4), 3), (date(2026, 3, 5), 3)]


def test_types_that_no_meter_counts_are_unmatched(rolled_up: Any) -> None:
    record(("a", "call", at(1), {}), ("a", "login", at(2), {}), ("b", "login", at(3), {}))
    meter()
    rolled_up()
    assert unmatched_types(MARCH) == [Unmatched("login", 2, at(2), at(3))]
    assert unmatched_types(date(2026, 4, 1)) == []


def test_what_a_meter_cannot_read_is_told_by_reason(rolled_up: Any) -> None:
    record(
        ("a", "call", at(1), {"n": 1}), ("a", "call", at(2), {}), ("b", "call", at(3), {"n": None}),
        ("a", "call", at(4), {"n": "x"}), ("a", "call", at(5), {"n": [1]}), ("a", "login", at(6), {}),
    )  # fmt: skip
    asked = meter()
    meter(code="k", aggregation="count", value="")
    rolled_up()
    assert unreadable(MARCH) == [
        Unreadable(asked, "The property n is missing.", 2, at(2), at(3), "app", "b/call/2"),
        Unreadable(asked, "The property n is not a number of at most 40 digits.", 1, at(4), at(4), "app", "a/call/3"),
        Unreadable(asked, "The property n is not a single value.", 1, at(5), at(5), "app", "a/call/4"),
    ]
    assert [row.events for row in unreadable(date(2026, 3, 5))] == [1]


def test_more_than_is_read_is_counted_without_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("billing.metering.explorer.unreadable.LOOKED_AT", 2)
    record(*(("a", "call", at(day), {}) for day in (1, 2, 3)))
    asked = meter()
    catch_up()
    assert {(row.reason, row.events) for row in unreadable(MARCH)} == {("The property n is missing.", 2), ("", 1)}
    assert asked.pk
