"""The cases of `manage.py measure`: a meter with events and a period as JSON in, what it counts as JSON out.

Numbers of JSON arrive as `int` or `Decimal`, which `read_json` sees to. Pure: no Django, no database, no clock.
"""

import json
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from billing.metering.definitions import parse_meter
from billing.metering.errors import DefinitionError
from billing.metering.measuring import MeasuredEvent, Measurement, measure
from billing.metering.validate import EARLIEST, instant
from billing.money import plain
from billing.periods import Period, UnknownTimezone, local_midnight, zone

KEYS: Final = ("id", "meter", "events", "period", "timezone", "full_period")
EVENT_KEYS: Final = ("id", "time", "data")
LATEST_YEAR: Final = 9000
_LONGEST_INTEGER: Final = 4000  # beyond it int() refuses, and no number so long counts anyway


def read_json(text: str) -> Any:
    """JSON with exact numbers; NaN and infinities come as what they are, for events to be invalid by. ValueError."""
    return json.loads(text, parse_float=_decimal, parse_int=_integer, parse_constant=Decimal)


def measure_case(case: object) -> dict[str, Any]:
    """One case's answer: quantity, cells and the fate of each event, or the error with its path."""
    identifier = case.get("id") if isinstance(case, dict) else None
    try:
        return {"id": identifier, **_answer(_measured(case))}
    except DefinitionError as error:
        return {"id": identifier, "error": error.to_json()}


def _decimal(text: str) -> Decimal:
    """The number exactly; NaN for one whose exponent is beyond all use, so that its event is invalid."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return Decimal("NaN")


def _integer(text: str) -> int | Decimal:
    """The integer; as a Decimal where it is longer than Python converts."""
    return int(text) if len(text) <= _LONGEST_INTEGER else Decimal(text)


def _measured(case: object) -> Measurement:
    """Read the case and measure it; DefinitionError for whatever is wrong with it."""
    fields = _object(case, KEYS, "a case", "")
    meter = parse_meter(_required(fields, "meter", "meter"))
    timezone = fields.get("timezone", "UTC")
    try:
        zone(timezone)
    except (UnknownTimezone, TypeError):
        raise DefinitionError("unknown_timezone", str(UnknownTimezone(timezone)), "timezone") from None
    period = _period(_required(fields, "period", "period"), timezone, "period")
    full = period
    if fields.get("full_period") is not None:
        full = _period(fields["full_period"], timezone, "full_period")
        if not full.start <= period.start <= period.until <= full.until:
            message = "The full period does not contain the period; write the aligned period around it."
            raise DefinitionError("invalid_period", message, "full_period")
    events = _required(fields, "events", "events")
    if not isinstance(events, list):
        raise DefinitionError("not_a_list", f"Write a list of events here, not {_shown(events)}.", "events")
    read = [_event(event, f"events[{index}]") for index, event in enumerate(events)]
    return measure(meter=meter, events=read, period=period, full=full, timezone=timezone)


def _event(obj: object, path: str) -> MeasuredEvent:
    """An event with id, time and data."""
    fields = _object(obj, EVENT_KEYS, "an event to measure", path)
    identifier = _required(fields, "id", f"{path}.id")
    if isinstance(identifier, bool) or not isinstance(identifier, str | int) or identifier == "":
        raise DefinitionError("invalid_id", "The id of an event is a text; write one.", f"{path}.id")
    time = _required(fields, "time", f"{path}.time")
    data = fields.get("data", {})
    if not isinstance(data, dict):
        message = (
            f'The data is not an object; write properties with names, such as {{"tokens": 5}}, not {_shown(data)}.'
        )
        raise DefinitionError("not_an_object", message, f"{path}.data")
    return MeasuredEvent(identifier, _instant(time, f"{path}.time"), data)


def _period(value: object, timezone: str, path: str) -> Period:
    """A period from its start to just before its end, as instants, or as local dates."""
    if not isinstance(value, list) or len(value) != 2:
        message = f"Write a list of start and end here, such as two dates, not {_shown(value)}."
        raise DefinitionError("invalid_period", message, path)
    start, end = (_bound(bound, timezone, f"{path}[{index}]") for index, bound in enumerate(value))
    if end <= start:
        message = "The period ends before it lasts any time; let it end after it starts."
        raise DefinitionError("invalid_period", message, path)
    return Period(start, end)


def _bound(value: object, timezone: str, path: str) -> datetime:
    """A bound of a period: the local midnight of a date, or an instant."""
    if not isinstance(value, str) or len(value) != len("2026-01-31"):
        return _instant(value, path)
    try:
        midnight = local_midnight(date.fromisoformat(value), timezone)
    except (ValueError, OverflowError):
        message = f"{value!r} is no date that exists; write it as 2026-01-31."
        raise DefinitionError("invalid_time", message, path) from None
    return _within_calendar(midnight, path)


def _instant(value: object, path: str) -> datetime:
    """An instant with a zone, in UTC."""
    if not isinstance(value, str):
        message = f"{_shown(value)} is no time; write it as 2023-11-16T18:17:03.979960Z."
        raise DefinitionError("invalid_time", message, path)
    read = instant(value)
    if not isinstance(read, datetime):
        raise DefinitionError(*read, path)
    return _within_calendar(read, path)


def _within_calendar(at: datetime, path: str) -> datetime:
    """The instant, unless no usage can have it (R1.5), or local days around it cannot be counted."""
    if not EARLIEST.year - 1 <= at.year <= LATEST_YEAR:
        message = f"{at.isoformat()} is no time of usage; write one from 1970 to {LATEST_YEAR}."
        raise DefinitionError("invalid_time", message, path)
    return at.astimezone(UTC)


def _object(obj: object, keys: tuple[str, ...], owner: str, path: str) -> dict[str, Any]:
    """A JSON object with no other keys than these."""
    if not isinstance(obj, dict):
        raise DefinitionError("not_an_object", f"Write an object with {', '.join(keys)}, not {_shown(obj)}.", path)
    for key in obj:
        if key not in keys:
            message = f"{key!r} is no key of {owner}; it takes {', '.join(keys)}."
            raise DefinitionError("unknown_key", message, f"{path}.{key}" if path else key)
    return obj


def _required(fields: dict[str, Any], key: str, path: str) -> Any:
    """The value of a key that must be there."""
    if key not in fields:
        raise DefinitionError("missing_key", f"{key!r} is missing; add it.", path)
    return fields[key]


def _shown(value: object) -> str:
    """A value as an error names it, cut short."""
    text = str(value) if isinstance(value, Decimal) else repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


def _answer(measured: Measurement) -> dict[str, Any]:
    """A measurement as JSON: numbers as canonical decimal texts."""
    cells = [{"dimensions": cell.dimensions, "quantity": plain(cell.quantity)} for cell in measured.cells]
    events = [
        {"id": fate.id, "counted": fate.counted, "value": fate.value, "reason": fate.reason} for fate in measured.fates
    ]
    return {"quantity": plain(measured.quantity), "cells": cells, "events": events}
