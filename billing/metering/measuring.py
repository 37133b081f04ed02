"""What a meter counts of given events, computed plainly from its definition (R2): the reference for what SQL computes.

Numbers are exact fractions until the one rounding; what never ends is written to 30 places. Pure: no Django, no
database, no clock.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor
from typing import Any, Final

from billing.metering import expressions
from billing.metering.aggregations import Counted, Key, Window, aggregate
from billing.metering.definitions import MeterDefinition, Rounding
from billing.metering.expressions import NoValue, Property
from billing.metering.filters import matches
from billing.metering.properties import number_of, path_of, read
from billing.money import plain
from billing.periods import Period, as_utc
from billing.pricing.exact import RENDERED_PLACES, rendered

OUTSIDE: Final = "outside the period"
FILTERED: Final = "does not match the filters"
REPEATED: Final = "a repeat of an event above"

MAX_PLACES: Final = 200
"""Places to which a number is written in full; the value of an expression may have thousands."""

Dimensions = tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class MeasuredEvent:
    """An event as it is given; `time` is aware, numbers in `data` are `int` or exact `Decimal`."""

    id: str | int
    time: datetime
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of an event: `value` is what the meter reads from it, `reason` why it does not count (R1.3)."""

    id: str | int
    counted: bool
    value: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Cell:
    """The quantity of the events that share these values of the meter's dimensions; None where events have none."""

    dimensions: dict[str, str | None]
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class Measurement:
    """A meter's quantity over a period, by cells when it has dimensions, and the fate of each event, as given."""

    quantity: Decimal
    cells: list[Cell]
    fates: list[Fate]


class _Unfit(Exception):
    """An event that the meter does not count; the text says why."""


def measure(
    *, meter: MeterDefinition, events: Sequence[MeasuredEvent], period: Period, full: Period, timezone: str
) -> Measurement:
    """Measure the events of the period, and those before it for a recurring meter (R2.1, R2.4).

    The order of `events` is the order of arrival, which decides between equal times (R2.1). `full` is the aligned
    period that `period` is a part of: the divisor of `prorate` and `weighted_sum`; days are those of `timezone`.
    ValueError for a period that is open, without length or not within `full`.
    """
    window = Window.of(period, full, timezone)
    fates: list[Fate] = []
    groups: dict[Dimensions, list[Counted]] = {}
    seen: set[str | int] = set()
    for event in events:
        try:
            counted = _counted(meter, event, period, seen)
        except _Unfit as unfit:
            fates.append(Fate(event.id, False, None, str(unfit)))
        else:
            groups.setdefault(tuple(_dimension(event.data, path) for path in meter.group_by), []).append(counted)
            fates.append(Fate(event.id, True, _shown(counted), None))
    for group in groups.values():
        group.sort(key=lambda each: each.time)  # a stable sort: equal times stay in order of arrival
    everything = sorted((each for group in groups.values() for each in group), key=lambda each: (each.time, each.place))
    return Measurement(_quantity(meter, everything, window), _cells(meter, groups, window), fates)


def round_quantity(quantity: Fraction, rounding: Rounding | None) -> Decimal:
    """The quantity as a decimal, rounded once if the meter rounds (R2.5)."""
    if rounding is None:
        return _written(quantity)
    unit = Fraction(10) ** -rounding.places
    scaled = abs(quantity) / unit
    match rounding.mode:
        case "up":
            whole = ceil(scaled)
        case "down":
            whole = floor(scaled)
        case "half_up":
            whole = floor(scaled + Fraction(1, 2))
    return rendered(whole * unit if quantity > 0 else -whole * unit)


def _quantity(meter: MeterDefinition, counted: list[Counted], window: Window) -> Decimal:
    """The rounded quantity of events in their order."""
    return round_quantity(aggregate(meter, counted, window), meter.rounding)


def _cells(meter: MeterDefinition, groups: dict[Dimensions, list[Counted]], window: Window) -> list[Cell]:
    """The cells, in order of their dimensions; one in which nothing happened and nothing is left over is no cell."""
    if not meter.group_by:
        return []
    cells = []
    for dimensions in sorted(groups, key=lambda values: [(value is not None, value or "") for value in values]):
        group = groups[dimensions]
        quantity = _quantity(meter, group, window)
        if quantity or group[-1].time >= window.start:
            cells.append(Cell(dict(zip(meter.group_by, dimensions, strict=True)), quantity))
    return cells


def _counted(meter: MeterDefinition, event: MeasuredEvent, period: Period, seen: set[str | int]) -> Counted:
    """What the meter reads from the event; _Unfit when it does not count. `seen` remembers ids (R1.1)."""
    time, place = as_utc(event.time), len(seen)
    if event.id in seen:
        raise _Unfit(REPEATED)
    seen.add(event.id)
    if time >= period.until or (time < period.start and not meter.recurring):
        raise _Unfit(OUTSIDE)
    if not all(matches(each, event.data) for each in meter.filters):
        raise _Unfit(FILTERED)
    if meter.aggregation == "count":
        return Counted(time, place)
    try:
        if meter.aggregation == "unique_count":
            return Counted(time, place, key=_key(meter, event.data), adds=_adds(meter, event.data))
        assert meter.value is not None  # a definition without one is a count
        return Counted(time, place, number=expressions.evaluate(meter.value, event.data))
    except NoValue as missing:
        raise _Unfit(f"invalid: {missing.reason}") from None


def _key(meter: MeterDefinition, data: dict[str, Any]) -> Key:
    """The value that a unique_count counts once: a text, true or false, or a number; texts are never numbers."""
    value = read(data, meter.value.names) if isinstance(meter.value, Property) else None
    if isinstance(value, bool):
        return "boolean", str(value).lower()
    if isinstance(value, str):
        return "text", value
    assert meter.value is not None  # a definition without one is a count
    return "number", expressions.evaluate(meter.value, data)


def _adds(meter: MeterDefinition, data: dict[str, Any]) -> bool:
    """Whether the event adds its value, which it does unless its operation says remove (R2.4)."""
    operation = read(data, path_of(meter.operation)) if meter.operation else None
    if operation not in (None, "add", "remove"):
        raise NoValue(f"The property {meter.operation} is neither add nor remove.")
    return operation != "remove"


def _dimension(data: dict[str, Any], path: str) -> str | None:
    """A property as text, to group by; None where it is missing or not a single value."""
    value = read(data, path_of(path))
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return value
    number = number_of(value)
    return None if number is None else plain(_written(number))


def _shown(counted: Counted) -> str | None:
    """The value of an event as text; None for a count, which reads none."""
    if counted.key is not None:
        value = counted.key[1]
        return value if isinstance(value, str) else plain(_written(value))
    return None if counted.number is None else plain(_written(counted.number))


def _written(value: Fraction) -> Decimal:
    """The number as a decimal, in full unless that takes more than 200 places; then to 30, half away from zero."""
    if (value * 10**MAX_PLACES).denominator == 1:
        return rendered(value)
    return round_quantity(value, Rounding("half_up", RENDERED_PLACES))
