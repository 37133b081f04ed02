"""Periods are half-open, cycles follow their anchor, shares are exact."""

from datetime import UTC, date, datetime, timedelta, timezone
from fractions import Fraction
from itertools import islice
from zoneinfo import ZoneInfo

import pytest

from billing.cycles import BillingCalendar, Cadence, InvalidAnchor, InvalidCadence
from billing.periods import Period, UnknownTimezone, local_date, local_midnight, share


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def between(start: str, end: str) -> Period:
    return Period(at(start), at(end))


def starts(calendar: BillingCalendar, number: int) -> list[str]:
    cycles = islice(calendar.cycles(at("2100-01-01")), number)
    return [str(local_date(cycle.period.start, calendar.timezone)) for cycle in cycles]


def test_it_works() -> None:
    monthly = BillingCalendar(Cadence.parse("P1M"), at("2025-01-31"), "UTC")
    assert starts(monthly, 4) == ["2025-01-31", "2025-02-28", "2025-03-31", "2025-04-30"]


def test_a_period_contains_its_start_and_not_its_end() -> None:
    january = between("2025-01-01", "2025-02-01")
    assert january.contains(at("2025-01-01"))
    assert not january.contains(at("2025-02-01"))
    assert Period(at("2025-01-01"), None).contains(at("2999-01-01"))
    assert between("2025-01-01", "2025-01-01").is_empty


def test_a_naive_instant_or_an_end_before_the_start_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        Period(datetime(2025, 1, 1), None)  # noqa: DTZ001 - the point of the test
    with pytest.raises(ValueError, match="before it starts"):
        between("2025-02-01", "2025-01-01")


def test_any_zone_is_kept_in_utc() -> None:
    period = Period(datetime(2025, 1, 1, tzinfo=timezone(timedelta(hours=2))), None)
    assert period.start.isoformat() == "2024-12-31T22:00:00+00:00"


def test_periods_that_touch_have_nothing_in_common() -> None:
    january, february = between("2025-01-01", "2025-02-01"), between("2025-02-01", "2025-03-01")
    assert january.intersect(february) is None
    assert january.intersect(Period(at("2025-01-20"), None)) == between("2025-01-20", "2025-02-01")


def test_subtracting_leaves_the_gaps_in_order() -> None:
    covered = [
        between("2025-01-20", "2025-01-25"),
        between("2024-12-01", "2025-01-05"),
        between("2025-01-04", "2025-01-10"),
    ]
    assert between("2025-01-01", "2025-02-01").subtract(covered) == [
        between("2025-01-10", "2025-01-20"),
        between("2025-01-25", "2025-02-01"),
    ]
    assert Period(at("2025-01-01"), None).subtract([Period(at("2025-02-01"), None)]) == [
        between("2025-01-01", "2025-02-01")
    ]
    assert between("2025-01-01", "2025-01-01").subtract([]) == []


@pytest.mark.parametrize("text", ["P1M", "P3M", "P1Y", "P2W", "P10D"])
def test_a_cadence_reads_and_writes_the_same_text(text: str) -> None:
    assert str(Cadence.parse(text)) == text


@pytest.mark.parametrize("text", ["", "1M", "P0M", "P1", "PT1H", "P1M1D", "p1m", "P9999Y", "P1M\n", None])
def test_a_text_that_is_no_cadence_is_named(text: str) -> None:
    with pytest.raises(InvalidCadence, match="is no cadence; write one like"):
        Cadence.parse(text)


def test_an_anchor_day_of_31_clamps_per_month_and_never_drifts() -> None:
    monthly = BillingCalendar(Cadence.parse("P1M"), at("2024-01-31"), "UTC", anchor_day=31)
    assert starts(monthly, 4) == ["2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30"]
    yearly = BillingCalendar(Cadence.parse("P1Y"), at("2024-02-29"), "UTC")
    assert starts(yearly, 5) == ["2024-02-29", "2025-02-28", "2026-02-28", "2027-02-28", "2028-02-29"]


def test_quarterly_from_24_february_with_anchor_day_10_first_ends_on_10_may() -> None:
    calendar = BillingCalendar(Cadence.parse("P3M"), at("2025-02-24"), "UTC", anchor_day=10)
    first = next(calendar.cycles(at("2026-01-01")))
    assert first.period == between("2025-02-24", "2025-05-10")
    assert first.full == between("2025-02-10", "2025-05-10")


def test_an_anchor_after_the_start_in_its_month_ends_a_short_first_cycle() -> None:
    first = BillingCalendar(Cadence.parse("P3M"), at("2025-02-05"), "UTC", anchor_day=10).cycle_at(at("2025-02-05"))
    assert first.period == between("2025-02-05", "2025-02-10")
    assert first.full == between("2024-11-10", "2025-02-10")


def test_the_anchor_month_is_the_latest_not_after_the_month_of_the_start() -> None:
    fiscal = BillingCalendar(Cadence.parse("P1Y"), at("2025-02-24"), "UTC", anchor_day=1, anchor_month=4)
    assert fiscal.cycle_at(at("2025-02-24")).full == between("2024-04-01", "2025-04-01")
    quarters = BillingCalendar(Cadence.parse("P3M"), at("2025-02-24"), "UTC", anchor_day=1, anchor_month=1)
    assert starts(quarters, 3) == ["2025-02-24", "2025-04-01", "2025-07-01"]


def test_weeks_run_from_the_anchor_day_of_the_week_of_the_start() -> None:
    from_monday = BillingCalendar(Cadence.parse("P2W"), at("2025-01-08"), "UTC", anchor_day=1)
    assert starts(from_monday, 3) == ["2025-01-08", "2025-01-20", "2025-02-03"]
    to_friday = BillingCalendar(Cadence.parse("P2W"), at("2025-01-08"), "UTC", anchor_day=5)
    assert starts(to_friday, 3) == ["2025-01-08", "2025-01-10", "2025-01-24"]
    assert starts(BillingCalendar(Cadence.parse("P1W"), at("2025-01-08"), "UTC"), 2) == ["2025-01-08", "2025-01-15"]


def test_days_run_from_the_start() -> None:
    assert starts(BillingCalendar(Cadence.parse("P10D"), at("2025-02-20"), "UTC"), 2) == ["2025-02-20", "2025-03-02"]


def test_boundaries_are_local_midnights_on_both_sides_of_summer_time() -> None:
    calendar = BillingCalendar(Cadence.parse("P1M"), at("2025-02-28T23:00"), "Europe/Berlin")
    march = calendar.cycle_at(at("2025-03-15"))
    assert march.full == between("2025-02-28T23:00", "2025-03-31T22:00")


def test_a_start_within_a_day_clips_only_the_first_cycle() -> None:
    calendar = BillingCalendar(Cadence.parse("P1M"), at("2025-01-15T10:30"), "UTC")
    first, second = islice(calendar.cycles(at("2026-01-01")), 2)
    assert first.period == between("2025-01-15T10:30", "2025-02-15")
    assert first.full == between("2025-01-15", "2025-02-15")
    assert second.period == second.full


def test_cycles_begin_with_the_one_that_contains_the_given_instant() -> None:
    calendar = BillingCalendar(Cadence.parse("P1M"), at("1990-01-31"), "UTC")
    cycles = list(calendar.cycles(at("2025-03-31"), from_=at("2025-02-10")))
    assert [cycle.period for cycle in cycles] == [
        between("2025-01-31", "2025-02-28"),
        between("2025-02-28", "2025-03-31"),
    ]
    assert next(calendar.cycles(at("2025-01-01"), from_=at("1980-01-01"))).period.start == at("1990-01-31")


def test_no_cycle_lies_before_the_start() -> None:
    calendar = BillingCalendar(Cadence.parse("P1M"), at("2025-01-31"), "UTC")
    assert list(calendar.cycles(at("2025-01-31"))) == []
    with pytest.raises(ValueError, match="contract starts"):
        calendar.cycle_at(at("2025-01-30"))


@pytest.mark.parametrize(
    ("cadence", "day", "month"),
    [("P1M", 0, None), ("P1M", 32, None), ("P1W", 8, None), ("P1D", 1, None), ("P1W", None, 1), ("P1Y", None, 13)],
)
def test_an_anchor_that_the_cadence_cannot_have_is_refused(cadence: str, day: int | None, month: int | None) -> None:
    with pytest.raises(InvalidAnchor):
        BillingCalendar(Cadence.parse(cadence), at("2025-01-31"), "UTC", day, month)


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc/passwd", "/etc/localtime"])
def test_an_unknown_time_zone_is_named(name: str) -> None:
    with pytest.raises(UnknownTimezone, match="IANA"):
        local_midnight(date(2025, 1, 1), name)


@pytest.mark.parametrize(
    ("day", "zone", "instant"),
    [
        (date(2018, 11, 4), "America/Sao_Paulo", "2018-11-04T03:00"),  # clocks jump from 0:00 to 1:00
        (date(1919, 3, 31), "America/Toronto", "1919-03-31T04:30"),  # from 23:30 to 0:30
        (date(2010, 11, 7), "America/St_Johns", "2010-11-07T02:30"),  # from 0:01 back to 23:01: the first of two
        (date(2011, 12, 30), "Pacific/Apia", "2011-12-30T10:00"),  # a day that did not exist
        (date(2025, 3, 30), "Europe/Berlin", "2025-03-29T23:00"),
    ],
)
def test_a_local_midnight_that_clocks_skip_or_repeat_is_the_first_instant_of_the_day(
    day: date, zone: str, instant: str
) -> None:
    assert local_midnight(day, zone) == at(instant)
    assert (at(instant) - timedelta(microseconds=1)).astimezone(ZoneInfo(zone)).date() < day


def test_a_day_that_a_zone_skipped_has_no_cycle() -> None:
    daily = BillingCalendar(Cadence.parse("P1D"), local_midnight(date(2011, 12, 28), "Pacific/Apia"), "Pacific/Apia")
    assert starts(daily, 4) == ["2011-12-28", "2011-12-29", "2011-12-31", "2012-01-01"]


def test_a_day_of_change_belongs_to_what_follows_it() -> None:
    january = between("2025-01-01", "2025-02-01")
    assert share(between("2025-01-01", "2025-01-17T09:30"), january, "day", "UTC") == Fraction(16, 31)
    assert share(between("2025-01-17T09:30", "2025-02-01"), january, "day", "UTC") == Fraction(15, 31)


def test_days_are_counted_in_the_zone_and_seconds_are_true_seconds() -> None:
    march = between("2025-02-28T23:00", "2025-03-31T22:00")
    last_two_days = between("2025-03-29T23:00", "2025-03-31T22:00")
    assert share(last_two_days, march, "day", "Europe/Berlin") == Fraction(2, 31)
    assert share(last_two_days, march, "second", "Europe/Berlin") == Fraction(47, 31 * 24 - 1)


def test_months_of_thirty_days_take_a_boundary_as_its_anchor_day() -> None:
    february = between("2025-01-31", "2025-02-28")
    assert share(between("2025-01-31", "2025-02-15"), february, "month30", "UTC") == Fraction(15, 30)
    assert share(between("2025-02-15", "2025-02-28"), february, "month30", "UTC") == Fraction(15, 30)
    assert share(
        between("2025-01-01", "2025-02-10"), between("2025-01-01", "2025-04-01"), "month30", "UTC"
    ) == Fraction(39, 90)


def test_a_calendar_knows_the_anchor_of_a_boundary_that_is_clamped_on_both_sides() -> None:
    yearly = BillingCalendar(Cadence.parse("P1Y"), at("2024-02-29"), "UTC")
    full = yearly.cycle_at(at("2026-01-01")).full
    assert full == between("2025-02-28", "2026-02-28")
    assert yearly.share(between("2025-02-28", "2025-03-15"), full, "month30") == Fraction(16, 360)
    assert share(between("2025-02-28", "2025-03-15"), full, "month30", "UTC") == Fraction(17, 360)


def test_weeks_and_days_count_days_in_months_of_thirty() -> None:
    four_weeks = between("2025-02-01", "2025-03-01")
    calendar = BillingCalendar(Cadence.parse("P4W"), at("2025-02-01"), "UTC")
    assert calendar.share(between("2025-02-01", "2025-02-08"), four_weeks, "month30") == Fraction(1, 4)
    assert share(
        between("2025-01-27", "2025-01-30"), between("2025-01-27", "2025-02-03"), "month30", "UTC"
    ) == Fraction(3, 7)


def test_no_proration_takes_a_part_in_full() -> None:
    assert share(between("2025-01-20", "2025-02-01"), between("2025-01-01", "2025-02-01"), "none", "UTC") == 1


@pytest.mark.parametrize(
    ("part", "full", "proration", "message"),
    [
        (between("2025-01-01", "2025-02-02"), between("2025-01-01", "2025-02-01"), "day", "beyond"),
        (between("2025-01-01", "2025-01-02"), between("2025-01-01", "2025-02-01"), "hour", "no proration"),
        (between("2025-01-01", "2025-01-01"), between("2025-01-01", "2025-01-01"), "second", "without length"),
        (Period(at("2025-01-01"), None), between("2025-01-01", "2025-01-01"), "day", "open period"),
    ],
)
def test_a_share_that_has_no_meaning_is_refused(part: Period, full: Period, proration: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        share(part, full, proration, "UTC")
