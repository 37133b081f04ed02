"""Questions about what was not stored: where the event is that stands, and how a conflict differs from it."""

import json
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
from django.db import connection
from django.db.models import TextField
from django.db.models.functions import Cast

from billing.metering.models import EventKey
from billing.metering.reports.models import EventConflict

_STORED = """
    SELECT e.batch, e.n, e.data::text, b.recorded_at FROM metering_event e JOIN metering_batch b ON b.no = e.batch
    WHERE e.subject_id = %s AND e.type_id = %s AND e.ts = %s AND e.source_id = %s AND e.id = %s
"""


@dataclass(frozen=True, slots=True)
class Located:
    """Where an event lies: its batch and place in it, its data as JSON text, and when it was recorded."""

    batch: int
    n: int
    data: str
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Difference:
    """A part of an event, as it is stored and as it was sent; empty where one of them lacks it."""

    name: str
    stored: str
    sent: str
    differs: bool


def located(key: EventKey, *, source_id: int, event_id: str) -> Located | None:
    """The event of a key; None when its month was taken out of the database."""
    with connection.cursor() as cursor:
        cursor.execute(_STORED, [key.subject_id, key.type_id, key.ts, source_id, event_id])
        row = cursor.fetchone()
    return Located(*row) if row else None


def key_of(digest: UUID) -> EventKey | None:
    """The key, with the names of its type and subject."""
    return EventKey.objects.filter(pk=digest).select_related("type", "subject").first()


def differences(conflict: EventConflict, key: EventKey, stored: Located | None) -> list[Difference]:
    """The parts of the stored event beside those of what was sent, top-level properties one by one.

    Values are equal as JSON is: 1.0 is 1. Without the stored event, whose month was taken out, its data is empty.
    """
    exact = EventConflict.objects.annotate(text=Cast("sent", TextField()))  # as Django reads it, numbers are binary
    sent = _numbers(exact.values_list("text", flat=True).get(pk=conflict.pk))
    ours = {"type": key.type.name, "subject": key.subject.name, "time": key.ts.isoformat()}
    rows = [_difference(name, value, sent[name]) for name, value in ours.items() if name != "time"]
    rows.append(_time(key, sent["time"]))
    data = _numbers(stored.data) if stored else {}
    for name in [*data, *(name for name in sent["data"] if name not in data)]:
        rows.append(_difference(f"data.{name}", data.get(name, _NONE), sent["data"].get(name, _NONE)))
    return rows


_NONE = object()
_encoder = msgspec.json.Encoder(decimal_format="number")


def _time(key: EventKey, sent: str | None) -> Difference:
    """Both times, to the microsecond; one that was left out differs from one that was named."""
    ours = key.ts.isoformat(sep=" ")
    theirs = "" if sent is None else datetime.fromisoformat(sent).isoformat(sep=" ")
    return Difference("time", ours, theirs or "left out", ours != theirs)


def _difference(name: str, stored: Any, sent: Any) -> Difference:
    """Two values, side by side."""
    return Difference(name, _text(stored), _text(sent), stored != sent)


def _text(value: Any) -> str:
    """A value for people; nothing where there is none."""
    if value is _NONE:
        return ""
    return value if isinstance(value, str) else _encoder.encode(value).decode()


def _numbers(text: str) -> Any:
    """JSON with its numbers as exact decimals, of any length."""
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)
