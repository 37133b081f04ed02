"""Schedules: how much of a fee is earned in which month (R7.1, docs/books.md). Pure: no Django, no clock."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction

from billing.money import EXACT, plain, round_money


@dataclass(frozen=True, slots=True)
class MonthAmount:
    """What is earned by the end of a calendar month, and within it; `month` is its first day."""

    month: date
    cumulative: Decimal
    delta: Decimal


def by_day(price: Decimal, currency: str, start: date, end: date) -> list[MonthAmount]:
    """Earn a fee evenly over the service days [start, end), in the days of whichever zone the dates are in (R7.1).

    A row per calendar month touched, also where it earns nothing. At each month's end the cumulative amount is price ×
    days elapsed ÷ days, rounded half away from zero, and the delta is what that adds: the deltas sum to the price, and
    a negative price mirrors. Service without a day is earned in the month of its start. ValueError when the end lies
    before the start, or the price is finer than the currency's minor unit; UnknownCurrency.
    """
    whole = round_money(price, currency)
    if whole != price:
        raise ValueError(f"{plain(price)} is finer than the minor unit of {currency}; round it before scheduling it.")
    days = (end - start).days
    if days < 0:
        raise ValueError(f"Service cannot end on {end}, before it starts on {start}.")
    rows: list[MonthAmount] = []
    earned = round_money(Decimal(0), currency)
    month = start.replace(day=1)
    while month < end or not rows:
        following = _next_month(month)
        elapsed = Fraction((min(following, end) - start).days, days) if days else Fraction(1)
        cumulative = round_money(Fraction(price) * elapsed, currency)
        rows.append(MonthAmount(month, cumulative, EXACT.subtract(cumulative, earned)))
        month, earned = following, cumulative
    return rows


def _next_month(month: date) -> date:
    """The first day of the month after that of `month`, itself a first day."""
    return month.replace(year=month.year + month.month // 12, month=month.month % 12 + 1)
