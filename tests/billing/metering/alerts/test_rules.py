"""A day against its own history: stops and jumps are found, quiet weekends and single odd days are not."""

from decimal import Decimal
from statistics import median as reference

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.metering.alerts.rules import FACTOR, HISTORY, Day, judge, median

amounts = st.integers(0, 10**6).map(Decimal)


def day(events: int) -> Day:
    return Day(events, Decimal(events * 10))


def days(*events: int) -> list[Day]:
    """A history of 28 days that repeats these."""
    return [day(events[place % len(events)]) for place in range(HISTORY)]


def test_it_works() -> None:
    found = judge(days(100), day(1000))
    assert found is not None
    assert (found.kind, found.days, found.expected, found.seen) == ("jump", 0, 1000, 10000)


@given(st.lists(amounts, min_size=1, max_size=30))
def test_the_median_is_the_one_that_everybody_knows(values: list[Decimal]) -> None:
    assert median(values) == reference(values)


@given(st.lists(st.integers(90, 110), min_size=HISTORY, max_size=HISTORY), st.integers(50, 200))
def test_ordinary_swings_raise_nothing(events: list[int], today: int) -> None:
    assert judge([day(each) for each in events], day(today)) is None


@given(st.lists(st.integers(90, 110), min_size=HISTORY, max_size=HISTORY), st.integers(331, 10**6))
def test_far_more_is_a_jump(events: list[int], today: int) -> None:
    found = judge([day(each) for each in events], day(today))
    assert found is not None
    assert found.kind == "jump"
    assert found.seen >= FACTOR * found.expected


@given(st.lists(st.integers(90, 110), min_size=HISTORY, max_size=HISTORY), st.integers(1, 30))
def test_far_less_is_a_jump_too(events: list[int], today: int) -> None:
    found = judge([day(each) for each in events], day(today))
    assert found is not None
    assert (found.kind, found.seen) == ("jump", today * 10)


@given(st.integers(20, 10**5), st.integers(0, 6), st.integers(2, 50))
def test_a_weekly_peak_or_lull_is_as_it_always_was(usual: int, weekday: int, factor: int) -> None:
    for odd in (usual * factor * FACTOR, usual // (factor * FACTOR)):
        pattern = [odd if place == weekday else usual for place in range(7)]
        assert judge(days(*pattern), day(pattern[0])) is None


@given(st.integers(1, 10**5), st.integers(0, HISTORY - 1), st.integers(0, 10**9))
def test_one_outlier_in_the_history_moves_nothing(usual: int, place: int, outlier: int) -> None:
    history = days(usual)
    history[place] = day(outlier)
    assert judge(history, day(usual)) is None


@given(st.lists(st.integers(0, 19), min_size=HISTORY, max_size=HISTORY), st.integers(1, 19))
def test_a_handful_of_events_is_left_to_chance(events: list[int], today: int) -> None:
    assert judge([day(each) for each in events], day(today)) is None


@given(st.lists(st.integers(0, 500), min_size=HISTORY, max_size=HISTORY), st.integers(0, 500), st.integers(2, 1000))
def test_the_unit_makes_no_difference(events: list[int], today: int, factor: int) -> None:
    scaled = [Day(each, Decimal(each * 10 * factor)) for each in events]
    found = judge([day(each) for each in events], day(today))
    again = judge(scaled, Day(today, Decimal(today * 10 * factor)))
    assert (found and (found.kind, found.days)) == (again and (again.kind, again.days))


def test_daily_usage_has_stopped_after_two_silent_days() -> None:
    history = days(5)
    assert judge(history, Day()) is None
    history[-1] = Day()
    found = judge(history, Day())
    assert found is not None
    assert (found.kind, found.days, found.expected, found.seen) == ("stop", 1, 50, 0)


def test_usage_on_weekdays_has_not_stopped_over_a_long_weekend() -> None:
    week = [50, 50, 50, 50, 50, 0, 0]
    history = days(*week)  # ends on a Sunday
    assert judge(history, Day()) is None
    for weekday in ("Tuesday", "Wednesday"):
        history = [*history[1:], Day()]
        assert judge(history, Day()) is None, weekday
    history = [*history[1:], Day()]
    found = judge(history, Day())
    assert found is not None
    assert found.kind == "stop"


@given(st.lists(st.integers(0, 4), min_size=HISTORY, max_size=HISTORY))
def test_a_stop_begins_right_after_the_last_usage(events: list[int]) -> None:
    history = [day(each) for each in events]
    found = judge(history, Day())
    if found is not None:
        assert all(each.events == 0 for each in history[HISTORY - found.days :])
        assert history[HISTORY - found.days - 1].events > 0


def test_a_short_history_says_nothing() -> None:
    history = [Day()] * (HISTORY - 4) + [day(100)] * 4
    assert judge(history, Day()) is None
    assert judge(history, day(10_000)) is None


def test_a_history_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="The history has 3 days, not 28"):
        judge([Day()] * 3, Day())
