"""Periods cut into hours, days, weeks or months of a time zone. Pure: no Django, no database, no clock."""

from datetime import UTC, date, datetime, timedelta
from typing import Final, Literal

from billing.periods import Period, as_utc, local_date, local_midnight, zone

Window = Literal["hour", "day", "week", "month"]
MAX_WINDOWS: Final = 10_000
"""Windows into which a period is cut at most: more than a year of hours."""


class TooManyWindows(ValueError):
    """A period with more windows than anybody looks at."""

    def __init__(self, window: str) -> None:
        super().__init__(f"The period has more than {MAX_WINDOWS:,} windows by {window}; ask for a shorter one.")


def split(period: Period, window: Window, timezone: str) -> list[Period]:
    """The windows of a local calendar that a period touches, cut to it, in order; weeks begin on Monday.

    An hour is a true hour that begins on the full local hour; clocks that change by half an hour begin one, which lasts
    until the next full hour. ValueError for an open period; TooManyWindows.
    """
    windows: list[Period] = []
    start = period.start
    while start < period.until:
        end = min(_next(start, window, timezone), period.until)
        windows.append(Period(start, end))
        if len(windows) > MAX_WINDOWS:
            raise TooManyWindows(window)
        start = end
    return windows


def _next(instant: datetime, window: Window, timezone: str) -> datetime:
    """The first beginning of a window after an instant."""
    if window == "hour":
        local = instant.astimezone(zone(timezone))
        past = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
        return as_utc(instant) - past + timedelta(hours=1)
    day = local_date(instant, timezone)
    while True:
        day = _next_day(day, window)
        if (start := local_midnight(day, timezone)) > instant:
            return start.astimezone(UTC)


def _next_day(day: date, window: Window) -> date:
    """The first day of the window after the one that holds a day."""
    if window == "day":
        return day + timedelta(days=1)
    if window == "week":
        return day + timedelta(days=7 - day.weekday())
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)
