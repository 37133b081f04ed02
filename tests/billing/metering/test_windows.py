"""Hours, days, weeks and months of a local calendar."""

import itertools
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.metering.windows import MAX_WINDOWS, TooManyWindows, Window, split
from billing.periods import Period, local_midnight

BERLIN = "Europe/Berlin"


def starts(period: Period, window: Window, timezone: str) -> list[str]:
    return [
        piece.start.astimezone(ZoneInfo(timezone)).strftime("%m-%d %H:%M") for piece in split(period, window, timezone)
    ]


def test_it_works() -> None:
    period = Period(local_midnight(datetime(2026, 3, 27).date(), BERLIN), datetime(2026, 4, 2, tzinfo=UTC))  # noqa: DTZ001
    assert starts(period, "day", BERLIN)[:3] == ["03-27 00:00", "03-28 00:00", "03-29 00:00"]
    assert starts(period, "week", BERLIN) == ["03-27 00:00", "03-30 00:00"]
    assert starts(period, "month", BERLIN) == ["03-27 00:00", "04-01 00:00"]


def test_a_day_on_which_clocks_change_has_another_length() -> None:
    period = Period(datetime(2026, 3, 28, 23, tzinfo=UTC), datetime(2026, 3, 29, 22, tzinfo=UTC))
    (day,) = split(period, "day", BERLIN)
    assert day == period
    assert len(split(period, "hour", BERLIN)) == 23


def test_hours_of_kathmandu_begin_at_a_quarter_past_in_utc() -> None:
    period = Period(datetime(2026, 3, 1, 18, tzinfo=UTC), datetime(2026, 3, 1, 20, tzinfo=UTC))
    assert [piece.start.minute for piece in split(period, "hour", "Asia/Kathmandu")] == [0, 15, 15]


def test_clocks_that_change_by_half_an_hour_begin_a_window() -> None:
    """At two o'clock it becomes half past two on Lord Howe: what is left of that hour is a window."""
    period = Period(datetime(2026, 10, 3, 14, 30, tzinfo=UTC), datetime(2026, 10, 3, 17, tzinfo=UTC))
    assert starts(period, "hour", "Australia/Lord_Howe") == ["10-04 01:00", "10-04 02:30", "10-04 03:00"]


def test_too_many_windows_are_refused() -> None:
    start = datetime(2026, 3, 1, tzinfo=UTC)
    with pytest.raises(TooManyWindows, match="ask for a shorter one"):
        split(Period(start, start + timedelta(hours=MAX_WINDOWS + 1)), "hour", "UTC")
    with pytest.raises(ValueError, match="open"):
        split(Period(start, None), "day", "UTC")


@given(
    st.datetimes(datetime(2020, 1, 1), datetime(2027, 1, 1)),  # noqa: DTZ001
    st.integers(1, 400),
    st.sampled_from(["hour", "day", "week", "month"]),
    st.sampled_from(["UTC", BERLIN, "Asia/Kathmandu", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"]),
)
def test_windows_tile_the_period(start: datetime, hours: int, window: Window, timezone: str) -> None:
    period = Period(start.replace(tzinfo=UTC), start.replace(tzinfo=UTC) + timedelta(hours=hours))
    pieces = split(period, window, timezone)
    assert (pieces[0].start, pieces[-1].end) == (period.start, period.end)
    assert all(one.end == two.start for one, two in itertools.pairwise(pieces))
    for piece in pieces[1:]:
        local = piece.start.astimezone(ZoneInfo(timezone))
        changed = (piece.start - timedelta(microseconds=1)).astimezone(
            ZoneInfo(timezone)
        ).utcoffset() != local.utcoffset()
        assert (local.minute, local.second, local.microsecond) == (0, 0, 0) or (window == "hour" and changed)
        if window == "week":
            assert local.weekday() == 0
        if window == "month":
            assert local.day == 1
