"""Stretches of days that people ask for by name, and how a window of time is written. Pure: no Django, no clock."""

from datetime import date, datetime, timedelta
from typing import Final

from billing.metering.windows import Window
from billing.periods import Period, local_midnight, zone

CUSTOM: Final = "custom"
PRESETS: Final = (
    ("this_month", "This month"),
    ("last_month", "Last month"),
    ("7", "Last 7 days"),
    ("30", "Last 30 days"),
    ("90", "Last 90 days"),
    (CUSTOM, "Dates"),
)
WINDOWS: Final = (("hour", "Hour"), ("day", "Day"), ("week", "Week"), ("month", "Month"))


def days_of(preset: str, today: date) -> tuple[date, date]:
    """First and last day of a preset that is not `custom`; this month ends today. ValueError for another name."""
    first = today.replace(day=1)
    if preset == "this_month":
        return first, today
    if preset == "last_month":
        last = first - timedelta(days=1)
        return last.replace(day=1), last
    if preset in ("7", "30", "90"):
        return today - timedelta(days=int(preset) - 1), today
    raise ValueError(f"{preset!r} is no preset.")


def period_of(first: date, last: date, timezone: str) -> Period:
    """From the start of the first local day to the end of the last one."""
    return Period(local_midnight(first, timezone), local_midnight(last + timedelta(days=1), timezone))


def window_label(start: datetime, window: Window, timezone: str) -> str:
    """A window by its beginning in local time: “2026-03-01 14:00”, “2026-03-01” or “2026-03”."""
    local = start.astimezone(zone(timezone))
    if window == "hour":
        return f"{local:%Y-%m-%d %H:%M}"
    return f"{local:%Y-%m}" if window == "month" else f"{local:%Y-%m-%d}"
