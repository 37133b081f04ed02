"""Which events a correction means, and what it changes of them. Pure: no Django, no database, no clock."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from billing.metering.corrections.errors import CriteriaError
from billing.metering.definitions import parse_meter
from billing.metering.errors import DefinitionError
from billing.metering.validate import instant
from billing.periods import Period

KEYS: Final = ("ids", "source", "subject", "type", "start", "end", "filters", "backfill")
CHANGES: Final = ("subject", "type", "time", "data")
MAX_IDS: Final = 10_000
YEARS: Final = (1970, 9998)
"""Years that a time may have: those of events, and one below the last that can be moved to any zone."""


@dataclass(frozen=True, slots=True)
class Criteria:
    """Events that count, and meet all that is named: ids of a source, subject, type, time, properties, backfill.

    `filters` are a meter's (`{"region": ["eu", "us"]}`). Ids with their source, a period or a backfill must be named:
    nobody means every event there ever was.
    """

    ids: tuple[str, ...] = ()
    source: str = ""
    subject: str = ""
    type: str = ""
    period: Period | None = None
    filters: Mapping[str, Any] = field(default_factory=dict)
    backfill: int | None = None

    def __post_init__(self) -> None:
        if self.ids and not self.source:
            raise CriteriaError("source", "Ids are unique within a source only; name the source.")
        if not (self.ids or self.period or self.backfill):
            raise CriteriaError("start", "Name ids, a period with start and end, or a backfill.")
        if self.period is not None and self.period.end is None:
            raise CriteriaError("end", "The period has no end; name one.")

    def to_json(self) -> dict[str, Any]:
        """What was asked, to be kept with the correction."""
        found: dict[str, Any] = {
            "ids": list(self.ids), "source": self.source, "subject": self.subject, "type": self.type,
            "filters": dict(self.filters), "backfill": self.backfill,
        }  # fmt: skip
        if self.period:
            found |= {"start": self.period.start.isoformat(), "end": self.period.until.isoformat()}
        return {key: value for key, value in found.items() if value}


@dataclass(frozen=True, slots=True)
class Changes:
    """What a replacement changes: the subject, the type, the time, properties of the data (None removes one)."""

    subject: str = ""
    type: str = ""
    time: datetime | None = None
    data: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not (self.subject or self.type or self.time or self.data):
            raise CriteriaError("changes", "A replacement changes something; name a subject, type, time or data.")

    def to_json(self) -> dict[str, Any]:
        """What was asked, to be kept with the correction."""
        found = {"subject": self.subject, "type": self.type, "data": dict(self.data)}
        if self.time:
            found["time"] = self.time.isoformat()
        return {key: value for key, value in found.items() if value}


def read_criteria(obj: Any) -> Criteria:
    """Criteria from JSON; CriteriaError names what does not fit."""
    given = _object(obj, KEYS, "criteria")
    ids = given.get("ids", [])
    if not isinstance(ids, list) or not all(isinstance(each, str) and each for each in ids):
        raise CriteriaError("ids", 'Write ids as a list of texts, such as ["req-1"].')
    if len(ids) > MAX_IDS:
        raise CriteriaError("ids", f"{len(ids):,} ids are named; name at most {MAX_IDS:,} at a time.")
    filters = given.get("filters") or {}
    try:
        parse_meter({"aggregation": "count", "filters": filters})
    except DefinitionError as error:
        raise CriteriaError("filters", error.message) from None
    backfill = given.get("backfill")
    if backfill is not None and (isinstance(backfill, bool) or not isinstance(backfill, int)):
        raise CriteriaError("backfill", "A backfill is named by its number.")
    texts = {name: _text(given, name) for name in ("source", "subject", "type")}
    return Criteria(ids=tuple(ids), period=_period(given), filters=filters, backfill=backfill, **texts)


def read_changes(obj: Any) -> Changes:
    """Changes from JSON; CriteriaError names what does not fit."""
    given = _object(obj, CHANGES, "changes")
    data = given.get("data") or {}
    if not isinstance(data, dict):
        raise CriteriaError("data", 'Write the properties to change as an object, such as {"tokens": 5}.')
    time = _time(given, "time") if given.get("time") else None
    return Changes(subject=_text(given, "subject"), type=_text(given, "type"), time=time, data=data)


def _period(given: Mapping[str, Any]) -> Period | None:
    """The period from start to just before end, if they are named."""
    if not given.get("start") and not given.get("end"):
        return None
    start, end = _time(given, "start"), _time(given, "end")
    if end <= start:
        raise CriteriaError("end", "The period ends before it lasts any time; let it end after it starts.")
    return Period(start, end)


def _time(given: Mapping[str, Any], name: str) -> datetime:
    """An instant with a zone."""
    value = given.get(name)
    read = instant(value) if isinstance(value, str) else None
    if not isinstance(read, datetime):
        message = "it is missing" if not value else (read[1] if read else f"{value!r} is none")
        raise CriteriaError(name, f"Write {name} as a time such as 2026-03-01T00:00:00Z: {message}")
    if not YEARS[0] <= read.year <= YEARS[1]:
        raise CriteriaError(name, f"The {name} lies in the year {read.year}, which no usage does.")
    return read


def _text(given: Mapping[str, Any], name: str) -> str:
    """A text, or none."""
    value = given.get(name) or ""
    if not isinstance(value, str) or "\0" in value:
        raise CriteriaError(name, f"Write the {name} as a text.")
    return value


def _object(obj: Any, keys: tuple[str, ...], owner: str) -> Mapping[str, Any]:
    """A JSON object with no other keys than these."""
    if not isinstance(obj, dict):
        raise CriteriaError(owner, f"Write the {owner} as an object with {', '.join(keys)}.")
    for key in obj:
        if key not in keys:
            raise CriteriaError(key, f"{key!r} is no key of {owner}; there are {', '.join(keys)}.")
    return obj
