"""What a price trial comes to: totals, who pays more and who less, the spread of changes, and where it breaks even.

Rows are taken one by one, so that a book of any size fits. Amounts are exact; a percentage is rounded once, for
people. Pure: no Django, no clock.
"""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Final

from billing.metering.definitions import Rounding
from billing.metering.measuring import round_quantity

MOST: Final = 50
"""Customers in the list of those who pay more, and in that of those who pay less."""
EDGES: Final = (-50, -25, -10, -5, 0, 5, 10, 25, 50, 100)
"""Where the bars of the distribution meet, in percent. A change of nothing has a bar of its own."""
FEW: Final = 30
"""With fewer customers than this, one of them may make the difference."""

Part = tuple[str, str]
"""What a line is for: its kind (“usage”, “recurring” …) and the charge's code."""


@dataclass(frozen=True, slots=True)
class Compared:
    """What one customer pays in one currency: today, and under each candidate, in order; the same by part."""

    key: int
    currency: str
    today: Decimal
    amounts: tuple[Decimal, ...]
    parts: Mapping[Part, tuple[Decimal, ...]] = field(default_factory=dict)
    """By part: today first, then each candidate; the parts add up to the amounts."""


@dataclass(slots=True)
class Total:
    """All customers of a currency under one candidate. `up` and `down` are Σ of what they pay more and less."""

    currency: str
    today: Decimal = Decimal(0)
    amount: Decimal = Decimal(0)
    more: int = 0
    less: int = 0
    same: int = 0
    up: Decimal = Decimal(0)
    down: Decimal = Decimal(0)

    @property
    def difference(self) -> Decimal:
        """What the candidate brings in beyond today."""
        return self.amount - self.today

    @property
    def customers(self) -> int:
        """How many customers are in it."""
        return self.more + self.less + self.same


@dataclass(frozen=True, slots=True)
class Bar:
    """Customers whose change lies in a range of percent: (low, high] above nothing, [low, high) below it."""

    label: str
    customers: int


@dataclass(frozen=True, slots=True)
class BreakEven:
    """By how much a candidate's prices would have to change for the total to be today's.

    `all_prices` is the factor on everything that the candidate bills, `usage_prices` that on usage alone; None where
    there is no such factor: nothing is billed, or fees alone are more than today's total.
    """

    all_prices: Fraction | None
    usage_prices: Fraction | None


def change_in_percent(today: Decimal, amount: Decimal) -> Fraction | None:
    """By how many percent of today's amount it changes; None where today's is zero and the other is not."""
    if today == amount:
        return Fraction(0)
    return (Fraction(amount) - Fraction(today)) / abs(Fraction(today)) * 100 if today else None


def rounded(number: Fraction | None, places: int) -> Decimal | None:
    """For people: so many places, half away from zero."""
    return None if number is None else round_quantity(number, Rounding("half_up", places))


class Tally:
    """What rows come to under one candidate (its place, from 0). Σ over customers is the total, always."""

    def __init__(self, place: int) -> None:
        self.place = place
        self.totals: dict[str, Total] = {}
        self.parts: dict[tuple[str, Part], list[Decimal]] = {}
        self._bars = [0] * (len(EDGES) + 3)
        self._up: list[tuple[Decimal, int, str]] = []
        self._down: list[tuple[Decimal, int, str]] = []

    def add(self, row: Compared) -> None:
        """Count one customer in one currency."""
        amount = row.amounts[self.place]
        total = self.totals.setdefault(row.currency, Total(row.currency))
        difference = amount - row.today
        total.today, total.amount = total.today + row.today, total.amount + amount
        if difference > 0:
            total.more, total.up = total.more + 1, total.up + difference
            _keep(self._up, (difference, -row.key, row.currency))
        elif difference < 0:
            total.less, total.down = total.less + 1, total.down - difference
            _keep(self._down, (-difference, -row.key, row.currency))
        else:
            total.same += 1
        self._bars[_bar(change_in_percent(row.today, amount))] += 1
        for part, amounts in row.parts.items():
            sums = self.parts.setdefault((row.currency, part), [Decimal(0), Decimal(0)])
            sums[0] += amounts[0]
            sums[1] += amounts[1 + self.place]

    def distribution(self) -> list[Bar]:
        """How many customers change by how much, from those who pay least more to those who pay from nothing."""
        return [Bar(label, count) for label, count in zip(LABELS, self._bars, strict=True)]

    def pay_more(self) -> list[tuple[int, str, Decimal]]:
        """Key, currency and difference of the customers who pay most more."""
        return [(-key, currency, amount) for amount, key, currency in sorted(self._up, reverse=True)]

    def pay_less(self) -> list[tuple[int, str, Decimal]]:
        """Key, currency and difference (below zero) of the customers who pay most less."""
        return [(-key, currency, -amount) for amount, key, currency in sorted(self._down, reverse=True)]

    def break_even(self, currency: str) -> BreakEven:
        """By how much the candidate's prices would have to change for this currency's total to be today's."""
        total = self.totals[currency]
        usage = sum((sums[1] for (code, part), sums in self.parts.items() if code == currency and part[0] == "usage"),
                    Decimal(0))  # fmt: skip
        rest = total.amount - usage
        return BreakEven(_factor(total.today, total.amount), _factor(total.today - rest, usage))


def spread(amounts: Sequence[Decimal]) -> tuple[Decimal, Decimal, Decimal] | None:
    """Smallest, median and largest; None of nothing. The median of an even number is the lower middle: one that is."""
    if not amounts:
        return None
    ordered = sorted(amounts)
    return ordered[0], ordered[(len(ordered) - 1) // 2], ordered[-1]


def _keep(heap: list[tuple[Decimal, int, str]], row: tuple[Decimal, int, str]) -> None:
    if len(heap) < MOST:
        heapq.heappush(heap, row)
    else:
        heapq.heappushpop(heap, row)


def _factor(wanted: Decimal, amount: Decimal) -> Fraction | None:
    return Fraction(wanted) / Fraction(amount) if amount > 0 and wanted >= 0 else None


_ZERO: Final = EDGES.index(0)


def _bar(percent: Fraction | None) -> int:
    """The place of a change's bar: falls, no change, rises, from nothing."""
    if percent is None:
        return len(EDGES) + 2
    if percent < 0:
        return next((place for place, edge in enumerate(EDGES[: _ZERO + 1]) if percent < edge), _ZERO)
    if percent == 0:
        return _ZERO + 1
    above = EDGES[_ZERO + 1 :]
    return _ZERO + 2 + next((place for place, edge in enumerate(above) if percent <= edge), len(above))


def _labels() -> tuple[str, ...]:
    signed = [f"{'−' if edge < 0 else '+' if edge else ''}{abs(edge)}" for edge in EDGES]
    between = [f"{low} to {high}" for low, high in pairwise(signed)]
    falls, rises = between[:_ZERO], between[_ZERO:]
    return (f"below {signed[0]}", *falls, "no change", *rises, f"above {signed[-1]}", "from nothing")


LABELS: Final = _labels()
"""The names of the bars, in order: ranges of percent."""
