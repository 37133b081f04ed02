"""The parts of which quantities are made: what one event gives, how parts are put together, and what they come to.

Hours, days and single events all have the same columns, so that a quantity may be put together from any of them
(R2.3: never from finished quantities). The text of SQL is made here, and runs elsewhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from functools import cache
from typing import Any, Final, NamedTuple

from billing.metering.definitions import Rounding
from billing.metering.measuring import round_quantity
from billing.periods import Period

ORIGIN: Final = "timestamptz '2000-01-01 00:00:00+00'"
HOUR: Final = f"date_bin('1 hour', {{}}, {ORIGIN})"
DAY: Final = f"date_bin('1 day', {{}}, {ORIGIN})"
DEKAD: Final = (
    "(date_trunc('month', {0}, 'UTC') + interval '240 hours'"
    " * least(div(extract(day FROM {0} AT TIME ZONE 'UTC') - 1, 10), 2)::int)"
)
"""The start of a third of a month (UTC): its days 1 to 10, 11 to 20, and the rest."""
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
NO_DIMENSIONS: Final = "'00000000-0000-0000-0000-000000000000'::uuid"
PLACES: Final = "coalesce(scale({0}.total), 0) + coalesce(scale({0}.moment), 0) + coalesce(scale({0}.value), 0)"
"""Digits after the point of a row's numbers: an index has room for 1,000 of them, and a few rows may have more."""


@dataclass(frozen=True, slots=True)
class Column:
    """A part: of one event (`ev`), of several rows of parts (`p`), and of a stored row `t` that a new one joins."""

    name: str
    of_event: str
    merged: str
    joined: str


_N: Final = Column("n", "ev.valid::int", "sum(p.n)::bigint", "t.n + excluded.n")
_INVALID: Final = Column(
    "invalid", "(NOT ev.valid)::int", "sum(p.invalid)::bigint", "t.invalid + excluded.invalid"
)  # fmt: skip


def _added(name: str, of_event: str) -> Column:
    joined = f"coalesce(t.{name} + excluded.{name}, t.{name}, excluded.{name})"
    return Column(name, of_event, f"sum(p.{name})", joined)


def _latest(name: str, of_event: str) -> Column:
    order = "p.at DESC NULLS LAST, p.at_batch DESC, p.at_n DESC"
    newer = "t.at IS NULL OR (excluded.at, excluded.at_batch, excluded.at_n) > (t.at, t.at_batch, t.at_n)"
    return Column(
        name,
        f"CASE WHEN ev.valid THEN {of_event} END",
        f"(array_agg(p.{name} ORDER BY {order}))[1]",
        f"CASE WHEN {newer} THEN excluded.{name} ELSE t.{name} END",
    )


_TOTAL: Final = _added("total", "ev.value")
_MOMENT: Final = _added("moment", "ev.value * extract(epoch FROM ev.ts)")
_EXTRA: Final = {
    "count": (),
    "unique_count": (),  # its values have tables of their own
    "sum": (_TOTAL,),
    "average": (_TOTAL,),
    "weighted_sum": (_TOTAL, _MOMENT),
    "max": (Column("value", "ev.value", "max(p.value)", "greatest(t.value, excluded.value)"),),
    "min": (Column("value", "ev.value", "min(p.value)", "least(t.value, excluded.value)"),),
    "latest": (
        _latest("value", "ev.value"),
        _latest("at", "ev.ts"),
        _latest("at_batch", "ev.batch"),
        _latest("at_n", "ev.n"),
    ),
}


def columns(aggregation: str) -> tuple[Column, ...]:
    """The parts that the aggregation needs."""
    return (_N, _INVALID, *_EXTRA[aggregation])


class Parts(NamedTuple):
    """What a statement answered for one quantity; parts that the aggregation does not need are None."""

    n: int = 0
    invalid: int = 0
    total: Decimal | None = None
    moment: Decimal | None = None
    value: Decimal | None = None
    distinct: int = 0

    @classmethod
    def of(cls, names: Sequence[str], row: Sequence[Any]) -> "Parts":
        """The parts of a row whose columns have these names; places in time are no part of an answer."""
        places = _places(tuple(names))
        return cls(*[default if place is None else row[place] for place, default in places])


@cache
def _places(names: tuple[str, ...]) -> list[tuple[int | None, Any]]:
    """Where each part stands among columns of these names, and what it is where it does not."""
    there = {name: place for place, name in enumerate(names)}
    return [(there.get(name), Parts._field_defaults[name]) for name in Parts._fields]


SETTLED: Final = Rounding("half_up", 30)
"""How a quantity of ratios is settled: the database has them to 60 places, so that 3 × ⅓ is 1 again."""


_PLAIN: Final = {
    "count": "n", "unique_count": "distinct", "sum": "total", "max": "value", "min": "value", "latest": "value",
}  # fmt: skip
"""The part that a quantity is, as it stands."""


def finish(
    aggregation: str, parts: Parts, *, before: Parts, period: Period, full: Period, rounding: Rounding | None,
    ratios: bool = False,
) -> Decimal:  # fmt: skip
    """The quantity that parts come to (R2.1), rounded once if the meter rounds (R2.5); 0 for none.

    `before` are the parts of what happened before the period, which only a `weighted_sum` tells apart: it is the level
    with which the period begins. `full` is the aligned period, the divisor of a weighted sum. `ratios` says that values
    may be ratios that no decimal writes out. ValueError for a weighted sum over an open period.
    """
    if rounding is None and not ratios and (plain := _PLAIN.get(aggregation)):  # nearly all: no fraction is needed
        return Decimal(getattr(parts, plain) or 0)
    match aggregation:
        case "count":
            number = Fraction(parts.n)
        case "unique_count":
            number = Fraction(parts.distinct)
        case "sum":
            number = Fraction(parts.total or 0)
        case "average":
            number = Fraction(parts.total or 0) / parts.n if parts.n else Fraction(0)
        case "weighted_sum":
            number = _area(parts, before, period) / _seconds(full.until - full.start)
        case _:
            number = Fraction(parts.value or 0)
    if ratios:
        number = Fraction(round_quantity(number, SETTLED))
    if rounding is None and number.denominator == 1:
        return Decimal(number.numerator)
    return round_quantity(number, rounding)


def _area(parts: Parts, before: Parts, period: Period) -> Fraction:
    """Level × seconds over the period: each change weighs from its event to the period's end."""
    until = _seconds(period.until - EPOCH)
    within = Fraction(parts.total or 0) * until - Fraction(parts.moment or 0)
    return within + Fraction(before.total or 0) * _seconds(period.until - period.start)


def _seconds(span: Any) -> Fraction:
    """A span of time in exact seconds."""
    return Fraction(span.days * 86_400 + span.seconds) + Fraction(span.microseconds, 1_000_000)
