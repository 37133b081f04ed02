"""Billing periods on listed dates, and the first stub that is divided by a period of its own (R4.1, R4.3)."""

from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.cycles import BillingCalendar, Cadence, DatesCalendar, InvalidAnchor, make_calendar
from billing.invoicing.calendars import in_cadence
from billing.periods import Period, local_midnight

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Pacific/Apia", "Asia/Kathmandu")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def listed(*dates: str, start: str = "2026-01-01", timezone: str = "UTC") -> BillingCalendar:
    days = [date.fromisoformat(each) for each in dates]
    return make_calendar("dates", local_midnight(date.fromisoformat(start), timezone), timezone, dates=days)


def test_each_period_runs_from_one_date_to_the_next() -> None:
    calendar = listed("2026-01-29", "2026-02-26", "2026-04-02")
    found = list(calendar.cycles(at("2030-01-01")))
    assert [each.period for each in found] == [
        Period(at("2026-01-01"), at("2026-01-29")),
        Period(at("2026-01-29"), at("2026-02-26")),
        Period(at("2026-02-26"), at("2026-04-02")),
    ]
    assert all(each.full == each.period for each in found)
    assert calendar.share(Period(at("2026-01-01"), at("2026-01-08")), found[0].full, "month30") == Fraction(1, 4)


def test_nothing_is_known_after_the_last_date() -> None:
    calendar = listed("2026-02-01", "2026-05-01")
    assert calendar.last == at("2026-05-01")
    assert list(calendar.cycles(at("2030-01-01"), at("2026-05-01"))) == []
    assert calendar.cycle_at(at("2026-06-01")).period == Period(at("2026-05-01"), None)
    assert BillingCalendar(Cadence.parse("P1M"), at("2026-01-01"), "UTC").last is None


@pytest.mark.parametrize(
    "dates", [(), ("2026-01-01",), ("2025-12-31",), ("2026-03-01", "2026-02-01"), ("2026-02-01", "2026-02-01")]
)
def test_dates_that_are_no_ends_of_periods_are_refused(dates: tuple[str, ...]) -> None:
    with pytest.raises(InvalidAnchor, match=r"one date at least|does not come after"):
        listed(*dates)


def test_dates_and_a_cadence_exclude_each_other() -> None:
    with pytest.raises(InvalidAnchor, match="needs no dates"):
        make_calendar("P1M", at("2026-01-01"), "UTC", dates=[date(2026, 2, 1)])
    with pytest.raises(InvalidAnchor, match="need the dates"):
        BillingCalendar(Cadence.parse("dates"), at("2026-01-01"), "UTC")
    with pytest.raises(InvalidAnchor, match="takes no anchor day"):
        make_calendar("dates", at("2026-01-01"), "UTC", anchor_day=1, dates=[date(2026, 2, 1)])


def test_a_charge_may_have_a_cadence_beside_listed_dates() -> None:
    calendar = listed("2026-01-29", "2026-02-26")
    assert in_cadence(calendar, "dates") is calendar
    assert in_cadence(calendar, "P1M").cycle_at(at("2026-02-10")).period == Period(at("2026-02-01"), at("2026-03-01"))


@given(
    start=st.dates(date(2000, 1, 1), date(2040, 1, 1)),
    steps=st.lists(st.integers(1, 400), min_size=1, max_size=12),
    timezone=st.sampled_from(ZONES),
)
def test_the_periods_of_listed_dates_tile_the_time_up_to_the_last(start: date, steps: list[int], timezone: str) -> None:
    days = [start]
    for step in steps:
        days.append(days[-1] + timedelta(days=step))
    bounds = [local_midnight(day, timezone) for day in days]
    if any(after <= before for before, after in pairwise(bounds)):
        return  # a zone skipped a day
    calendar = make_calendar("dates", bounds[0], timezone, dates=days[1:])
    assert isinstance(calendar, DatesCalendar)
    found = [each.period for each in calendar.cycles(datetime.max.replace(tzinfo=UTC))]
    assert [(each.start, each.end) for each in found] == list(pairwise(bounds))
    assert all(calendar.cycle_at(each.start).period == each for each in found)


@given(
    start=st.dates(date(2000, 1, 1), date(2040, 1, 1)),
    cadence=st.sampled_from(("P1M", "P3M", "P1Y", "P6M")),
    anchor_day=st.integers(1, 31),
    timezone=st.sampled_from(ZONES),
    proration=st.sampled_from(("day", "second", "month30")),
)
def test_a_stub_is_a_part_of_the_period_that_starts_with_it_and_of_no_other(
    start: date, cadence: str, anchor_day: int, timezone: str, proration: str
) -> None:
    begin = local_midnight(start, timezone)
    aligned = BillingCalendar(Cadence.parse(cadence), begin, timezone, anchor_day)
    own = BillingCalendar(Cadence.parse(cadence), begin, timezone, anchor_day, stub_divisor="from_start")
    first, second = (
        list(own.cycles(aligned.cycle_at(begin).period.until + timedelta(days=1)))[place] for place in (0, 1)
    )
    assert first.period == aligned.cycle_at(begin).period
    assert second == aligned.cycle_at(second.period.start)
    assert first.full.start <= first.period.start < first.period.until <= first.full.until
    share = own.share(first.period, first.full, proration)
    assert 0 < share <= 1
    if first.full != aligned.cycle_at(begin).full:
        assert first.full.start == begin
    else:
        assert first.period == first.full


def test_days_of_23_and_25_hours_are_days() -> None:
    berlin = BillingCalendar(Cadence.parse("P1D"), local_midnight(date(2026, 3, 28), "Europe/Berlin"), "Europe/Berlin")
    hours = [
        (each.period.until - each.period.start) / timedelta(hours=1)
        for each in berlin.cycles(local_midnight(date(2026, 3, 31), "Europe/Berlin"))
    ]
    assert hours == [24, 23, 24]
    autumn = berlin.cycle_at(local_midnight(date(2026, 10, 25), "Europe/Berlin")).period
    assert autumn.until - autumn.start == timedelta(hours=25)
