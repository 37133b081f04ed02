"""Which past stretch of time stands for a future one: the same part of the last complete cycle. Pure."""

from calendar import monthrange
from datetime import date, timedelta

from billing.periods import Period, local_date, local_midnight


def reference(part: Period, full: Period, timezone: str, now: Period, back: int = 0) -> Period:
    """The stretch that stands for `part` of the cycle `full`: as far into a cycle that ended before `now` began.

    The last such cycle, or with `back` the one so many before it. Cycles of whole months are counted back by months,
    others by days. ValueError for an open cycle.
    """
    first, last = local_date(full.start, timezone), local_date(full.until, timezone)
    months = (last.year - first.year) * 12 + last.month - first.month
    by_months = months > 0 and (first.day == last.day or last.day == monthrange(last.year, last.month)[1])
    steps = 0
    while True:
        steps += 1
        start = _back(first, months * steps if by_months else 0, (last - first).days * steps, by_months=by_months)
        end = _back(first, months * (steps - 1), (last - first).days * (steps - 1), by_months=by_months)
        whole = Period(local_midnight(start, timezone), local_midnight(end, timezone))
        if whole.until <= now.start:
            break
    if back:
        return reference(part, full, timezone, Period(whole.start, now.end), back - 1)
    begin = min(whole.start + (part.start - full.start), whole.until)
    finish = whole.until if part.until >= full.until else min(whole.start + (part.until - full.start), whole.until)
    return Period(begin, max(begin, finish))


def _back(day: date, months: int, days: int, *, by_months: bool) -> date:
    """The day so many months, or days, before; clamped in shorter months."""
    if not by_months:
        return day - timedelta(days=days)
    index = day.year * 12 + day.month - 1 - months
    year, month = index // 12, index % 12 + 1
    return date(year, month, min(day.day, monthrange(year, month)[1]))
