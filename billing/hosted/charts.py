"""Bars for each day or month, stacked by value, as numbers of an SVG picture. Pure: no Django, no clock."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from billing.invoicing.explaining.pivot import Pivot

WIDTH: Final = 720
HEIGHT: Final = 160
WIDEST: Final = Decimal(40)
"""Of a bar, in the picture's own units."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A piece of a day's bar; `series` numbers its column, `when` is the day or month."""

    x: str
    y: str
    width: str
    height: str
    series: int
    when: str
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class Chart:
    """`top` is what the highest bar comes to, `first` and `last` what stands below the two ends."""

    bars: list[Bar]
    top: Decimal
    first: str
    last: str


def chart_of(table: Pivot) -> Chart | None:
    """The table as bars at the places of their days; None where nothing was used. What is negative is not drawn."""
    pieces = [(when, row[:-1] or row) for when, row in table.rows]
    top = max((_high(row) for _, row in pieces), default=Decimal(0))
    if not top:
        return None
    first, last = pieces[0][0], pieces[-1][0]
    wide = Decimal(WIDTH) / (_place(last, first) + 1)
    bars = [bar for when, row in pieces for bar in _bars(when, row, wide * _place(when, first), wide, top)]
    return Chart(bars, top, first, last)


def _high(row: Sequence[Decimal]) -> Decimal:
    return sum((each for each in row if each > 0), Decimal(0))


def _place(when: str, first: str) -> int:
    """How many days, or months, after the first."""
    if len(when) == len("2023-11"):
        return 12 * (int(when[:4]) - int(first[:4])) + int(when[5:]) - int(first[5:])
    return (date.fromisoformat(when) - date.fromisoformat(first)).days


def _bars(when: str, row: Sequence[Decimal], left: Decimal, wide: Decimal, top: Decimal) -> list[Bar]:
    """The pieces of one bar, from the ground up."""
    ground, width, found = Decimal(HEIGHT), min(wide * Decimal("0.82"), WIDEST), []
    for series, quantity in enumerate(row):
        if quantity > 0:
            high = quantity / top * HEIGHT
            ground -= high
            found.append(Bar(f"{left:.2f}", f"{ground:.2f}", f"{width:.2f}", f"{high:.2f}", series, when, quantity))
    return found
