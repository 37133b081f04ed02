"""When a contract with an end renews, and until when. Pure: no Django, no clock."""

from datetime import date, timedelta

from billing.cycles import Cadence, month_later


def last_day_of_notice(end: date, notice_days: int) -> date:
    """The last day on which notice keeps a contract from renewing at its end."""
    return end - timedelta(days=max(notice_days, 1))


def after_term(start: date, term: str) -> date:
    """The day after a term (ISO 8601) that begins on a day: 29 February a year on is 28 February."""
    every = Cadence.parse(term)
    return month_later(start, every.months, start.day) if every.months else start + timedelta(days=every.days)
