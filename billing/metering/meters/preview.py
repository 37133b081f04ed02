"""What a meter would make of the latest events: the fate of each, and what each customer would have used.

Computed by the plain rules, as `manage.py measure` does. Pure: no Django, no database, no clock.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from billing.metering.definitions import MeterDefinition
from billing.metering.filters import matches
from billing.metering.measuring import FILTERED, MeasuredEvent, Measurement, measure
from billing.periods import Period

TAKEN_BACK: Final = "It was taken back by a correction."
_TICK: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class SampledEvent:
    """A stored event; `batch` and `n` are its arrival, numbers in `data` are exact."""

    source: str
    id: str
    subject: str
    time: datetime
    batch: int
    n: int
    data: dict[str, Any]
    voided: bool


@dataclass(frozen=True, slots=True)
class Tried:
    """An event and its fate: `value` is what counts, `reason` why it does not, `dimensions` what it is reported by."""

    event: SampledEvent
    customer: str | None
    counted: bool
    value: str | None
    reason: str
    dimensions: tuple[str | None, ...]

    @property
    def shown_data(self) -> str:
        """The event's data as JSON for people."""
        return json.dumps(self.event.data, indent=2, ensure_ascii=False, default=str)


@dataclass(frozen=True, slots=True)
class Share:
    """What one customer used in the sample; None for subjects that nobody claims."""

    customer: str | None
    quantity: Decimal
    events: int


def try_meter(
    meter: MeterDefinition, events: Sequence[SampledEvent], customer_of: Callable[[SampledEvent], str | None]
) -> list[Tried]:
    """The fate of each event, in their order."""
    return [_tried(meter, event, customer_of(event)) for event in events]


def shares(meter: MeterDefinition, tried: Sequence[Tried]) -> list[Share]:
    """The quantity of each customer over the time of the sample, most events first."""
    counted: dict[str | None, list[SampledEvent]] = {}
    for each in tried:
        if each.counted:
            counted.setdefault(each.customer, []).append(each.event)
    if not counted:
        return []
    times = [each.event.time for each in tried]
    period = Period(min(times), max(times) + _TICK)
    found = [Share(name, _quantity(meter, events, period), len(events)) for name, events in counted.items()]
    return sorted(found, key=lambda share: (share.customer is None, -share.events, share.customer or ""))


def properties(events: Sequence[SampledEvent]) -> dict[str, str]:
    """The single values in the data of the events: the path to each, and an example of it."""
    found: dict[str, str] = {}
    for event in events:
        _gather(event.data, "", found)
    return dict(sorted(found.items()))


def _tried(meter: MeterDefinition, event: SampledEvent, customer: str | None) -> Tried:
    """The fate of one event."""
    period = Period(event.time, event.time + _TICK)
    measured = _measure(meter, [event], period)
    fate = measured.fates[0]
    counted = fate.counted and not event.voided
    reason = TAKEN_BACK if event.voided else (fate.reason or "").removeprefix("invalid: ")
    if reason == FILTERED:
        names = [".".join(each.names) for each in meter.filters if not matches(each, event.data)]
        reason = f"It does not pass the filter on {' and '.join(names)}."
    dimensions = tuple(measured.cells[0].dimensions.values()) if measured.cells else ()
    return Tried(event, customer, counted, fate.value if counted else None, reason, dimensions)


def _quantity(meter: MeterDefinition, events: Sequence[SampledEvent], period: Period) -> Decimal:
    """The quantity of events, in order of their arrival."""
    arrived = sorted(events, key=lambda event: (event.batch, event.n))
    return _measure(meter, arrived, period).quantity


def _measure(meter: MeterDefinition, events: Sequence[SampledEvent], period: Period) -> Measurement:
    measured = [MeasuredEvent(place, event.time, event.data) for place, event in enumerate(events)]
    return measure(meter=meter, events=measured, period=period, full=period, timezone="UTC")


def _gather(data: dict[str, Any], above: str, found: dict[str, str]) -> None:
    """Add the single values below a name."""
    for name, value in data.items():
        path = f"{above}.{name}" if above else name
        if isinstance(value, dict):
            _gather(value, path, found)
        elif value is not None and not isinstance(value, list):
            found.setdefault(path, str(value)[:40])
