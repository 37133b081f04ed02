"""From a request's bytes to events: each bad one answered by its place, the good ones kept (R1.2).

`data` stays the sender's own JSON text, so that numbers reach the database as exact decimals and never pass through a
binary float. Times are cut, not rounded, to microseconds. Pure: no Django, no database, no clock.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from billing.metering.elements import elements
from billing.metering.errors import UnreadableBody

MAX_ID: Final = 1000
MAX_TYPE: Final = 200  # what Meter.event_type can name
MAX_NAME: Final = 1000  # sources, and what a claim can name as a subject
MAX_EXAMPLE: Final = 2000  # characters that are kept of what was refused
MAX_NAME_BYTES: Final = 2600  # an index entry of PostgreSQL takes 2,704
EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)

SEPARATOR: Final = b"\x1e"
"""Never within JSON text, which has no bare control characters but tab and line ends: stands between texts of data."""

EMPTY: Final = msgspec.Raw(b"{}")
_NULL: Final = msgspec.Raw(b"null")
_TIME: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?([Zz]|[+-][0-9:]{5})?"
)
# What msgspec reads in another way than `_time`: digits beyond microseconds, which it rounds, and +0200.
_OTHER_TIME: Final = re.compile(rb":[0-9]{2}(?:\.[0-9]{7}|(?:\.[0-9]+)?[+-][0-9]{4}\")")
# Pairs of surrogates are eaten first, so that what is left over in the last group stands alone.
_ESCAPE: Final = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u0000)|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.S
)


class NewEvent(msgspec.Struct, frozen=True, gc=False):
    """A usage event as a sender sent it. `time` is aware, or None for "now"; `data` is the text of a JSON object."""

    id: str
    type: str
    subject: str
    time: datetime | None = None
    source: str | None = None
    data: msgspec.Raw = EMPTY


class _Wire(msgspec.Struct, gc=False):
    """An event as JSON carries it; other keys are passed over."""

    id: str
    type: str
    subject: str
    time: str | None = None
    source: str | None = None
    data: msgspec.Raw = EMPTY


class _CloudWire(_Wire, gc=False):
    """An event as CloudEvents 1.0 has it in JSON, with what tells that it is one and that it can be read."""

    specversion: str | None = None
    data_base64: msgspec.Raw = _NULL


@dataclass(frozen=True, slots=True)
class Problem:
    """Why one event was not counted: its place in the request (from 0), its id where it has one, code and sentence."""

    index: int
    id: str | None
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What a body holds: events that can be read, each with its place, and problems with the others.

    `examples` has the last text of each code of problem, for people who look into it.
    """

    events: list[tuple[int, NewEvent]]
    problems: list[Problem]
    examples: dict[str, str] = dataclasses.field(default_factory=dict)

    def add(self, index: int, event: "NewEvent | Problem", text: str | bytes) -> None:
        """Put down what was read of `text`."""
        if isinstance(event, NewEvent):
            self.events.append((index, event))
        else:
            self.problems.append(event)
            start = text[:MAX_EXAMPLE]
            self.examples[event.code] = start.decode(errors="replace") if isinstance(start, bytes) else start


class _Refused(Exception):
    """One event that cannot be taken: code and sentence."""

    def __init__(self, code: str, message: str) -> None:
        self.code, self.message = code, message


_good_batch = msgspec.json.Decoder(list[NewEvent])
_good_line = msgspec.json.Decoder(NewEvent)
_batch = msgspec.json.Decoder(list[_Wire])
_cloud_batch = msgspec.json.Decoder(list[_CloudWire])
_line = msgspec.json.Decoder(_Wire)
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encoder = msgspec.json.Encoder(decimal_format="number")


def new_event(
    *,
    id: str,
    type: str,
    subject: str,
    data: Mapping[str, Any],
    time: datetime | None = None,
    source: str | None = None,
) -> NewEvent:
    """An event from Python values: Decimals in `data` are written as exact JSON numbers."""
    return NewEvent(id, type, subject, time, source, msgspec.Raw(_encoder.encode(data)))


def read(body: bytes, *, cloud: bool = False) -> Reading:
    """Read one event or a list of events (R1.2); `cloud` wants them to be CloudEvents 1.0.

    UnreadableBody when the body as a whole is no JSON, or neither an object nor a list. Limits and times are checked
    by `check`, for events from any origin.
    """
    try:
        body.decode()  # msgspec passes over the bytes of `data`, and one bad byte would sink the batch in the database
    except UnicodeDecodeError as error:
        raise UnreadableBody("not_utf8", f"The body is not UTF-8 at byte {error.start}; encode it as UTF-8.") from None
    stripped = body.strip(b" \t\r\n")
    if stripped[:1] == b"{":
        stripped = b"[" + stripped + b"]"
    events = None if cloud else _at_once(_good_batch, stripped)
    if events is not None:
        return Reading(list(enumerate(events)), [])
    try:
        wires: Sequence[_Wire] = (_cloud_batch if cloud else _batch).decode(stripped)
        return Reading([(index, _event(wire)) for index, wire in enumerate(wires)], [])
    except (msgspec.DecodeError, RecursionError, _Refused):  # something is wrong somewhere: find out with which
        return _read_each(stripped.decode(), _CloudWire if cloud else _Wire)


def read_one(index: int, line: bytes) -> NewEvent | Problem:
    """Read one event that stands by itself, as on a line, or say what is wrong with it; `index` is its place."""
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        return Problem(index, None, "not_utf8", f"The line is not UTF-8 at byte {error.start}; encode it as UTF-8.")
    events = _at_once(_good_line, line)
    if events is not None:
        return events[0]
    try:
        return _event(_line.decode(line))
    except (msgspec.DecodeError, RecursionError, _Refused):
        return _read_object(index, text.strip(" \t\r\n"), _Wire)


def check_all(
    events: list[tuple[int, NewEvent]], latest: datetime, *, has_default_source: bool
) -> tuple[list[tuple[int, NewEvent]], list[Problem]]:
    """The events that can be stored, and the problems of the others; `latest` is the last instant accepted (R1.5).

    A batch is looked at as a whole first, since nearly every batch is good as a whole.
    """
    if _all_good([event for _, event in events], latest, has_default_source):
        return events, []
    good: list[tuple[int, NewEvent]] = []
    problems: list[Problem] = []
    for index, event in events:
        problem = check(event, latest, has_default_source=has_default_source)
        if problem is None:
            good.append((index, event))
        else:
            problems.append(Problem(index, event.id, *problem))
    return good, problems


def _all_good(events: list[NewEvent], latest: datetime, has_default_source: bool) -> bool:
    """Whether `check` would find nothing wrong with any of the events; False where only `check` can say."""
    sources = {event.source for event in events}
    if not has_default_source and None in sources:
        return False
    names = {name for event in events for name in (event.type, event.subject)}
    names |= {source for source in sources if source is not None}
    ids = [event.id for event in events]
    times = [event.time for event in events if event.time is not None]
    data = SEPARATOR.join([event.data for event in events])
    return (
        "" not in names
        and "" not in ids
        and max(map(len, names), default=0) <= MAX_TYPE  # so that no name is too long in bytes either
        and max(map(len, ids), default=0) <= MAX_ID
        and "\0" not in (text := "".join((*ids, *names)))
        and text.isascii()
        and all(time.tzinfo for time in times)
        and (not times or EARLIEST <= min(times) <= max(times) <= latest)
        and b"\\u" not in data
        and data.startswith(b"{")
        and data.count(SEPARATOR + b"{") == len(events) - 1 == data.count(SEPARATOR)
    )


def check(event: NewEvent, latest: datetime, *, has_default_source: bool) -> tuple[str, str] | None:
    """Code and sentence of what is wrong with an event, or None; `latest` is the last instant accepted (R1.5)."""
    problem = (
        _name("id", event.id, MAX_ID, None)
        or _name("type", event.type, MAX_TYPE, MAX_NAME_BYTES)
        or _name("subject", event.subject, MAX_NAME, MAX_NAME_BYTES)
        or (None if event.source is None else _name("source", event.source, MAX_NAME, MAX_NAME_BYTES))
    )
    if problem:
        return problem
    if event.source is None and not has_default_source:
        return "missing_source", "The event has no source, and no default is set; name the system that sends it."
    if event.time is not None:
        if event.time.tzinfo is None:
            return "time_without_zone", "The time has no zone; end it with Z or an offset such as +02:00."
        if event.time > latest:
            return (
                "future_time",
                f"The time {event.time.isoformat()} lies in the future; send events once they happened.",
            )
        if event.time < EARLIEST:
            return "implausible_time", f"The time {event.time.isoformat()} lies before 1970, which no usage does."
    data = bytes(event.data)
    if data[:1] != b"{":
        return (
            "data_not_an_object",
            'The data is not a JSON object; write properties with names, such as {"tokens": 5}.',
        )
    return unstorable(data) if b"\\u" in data else None


def instant(text: str) -> datetime | tuple[str, str]:
    """The instant that an RFC 3339 text names, cut to microseconds; or code and sentence of what is wrong with it."""
    try:
        return _time(text)
    except _Refused as refused:
        return refused.code, refused.message


def _name(field: str, text: str, longest: int, longest_bytes: int | None) -> tuple[str, str] | None:
    """What is wrong with an id or a name, if anything."""
    if not text:
        return f"missing_{field}", f"The {field} is empty; every event needs one."
    if len(text) > longest:
        return f"{field}_too_long", f"The {field} has {len(text):,} characters; at most {longest:,} are kept."
    if longest_bytes and len(text) * 4 > longest_bytes and len(text.encode(errors="replace")) > longest_bytes:
        return f"{field}_too_long", f"The {field} has more than {longest_bytes:,} bytes in UTF-8; shorten it."
    if text.isascii():
        return _nul(field) if "\0" in text else None
    if any("\ud800" <= character <= "\udfff" for character in text):
        return "invalid_unicode", f"The {field} holds half of a surrogate pair, which is no character."
    return _nul(field) if "\0" in text else None


def _nul(field: str) -> tuple[str, str]:
    """The problem of a NUL character in a text."""
    return "nul_character", f"The {field} holds a NUL character (\\u0000), which cannot be stored; leave it out."


def unstorable(data: bytes) -> tuple[str, str] | None:
    """NUL characters and halves of surrogate pairs, written as escapes, which PostgreSQL's jsonb refuses."""
    for match in _ESCAPE.finditer(data):
        if match[1]:
            return _nul("data")
        if match[2]:
            return "invalid_unicode", "The data holds half of a surrogate pair, which is no character."
    return None


def _at_once(decoder: msgspec.json.Decoder[Any], text: bytes) -> list[NewEvent] | None:
    """The events of a text that is good as a whole, as nearly every one is; None where a closer look is needed."""
    if b"\\u" in text or _OTHER_TIME.search(text):
        return None
    try:
        read = decoder.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None
    events: list[NewEvent] = read if isinstance(read, list) else [read]
    zoned = all(event.time is None or event.time.tzinfo is not None for event in events)
    return events if zoned else None


def _event(wire: _Wire) -> NewEvent:
    """The event that a well-typed JSON object means; _Refused for a bad time, or what CloudEvents forbids."""
    time = None if wire.time is None else _time(wire.time)
    data = _cloud_data(wire) if isinstance(wire, _CloudWire) else wire.data
    return NewEvent(wire.id, wire.type, wire.subject, time, wire.source, data)


def _cloud_data(wire: _CloudWire) -> msgspec.Raw:
    """The data of a CloudEvent, null being none; _Refused when it is no CloudEvent that can be read."""
    if wire.specversion is None or wire.source is None:
        raise _missing("specversion" if wire.specversion is None else "source")
    if wire.specversion != "1.0":
        message = f"The specversion is {wire.specversion[:60]!r}; write 1.0, the version of CloudEvents that is read."
        raise _Refused("unsupported_specversion", message)
    if bytes(wire.data_base64) != b"null":
        raise _Refused("data_not_an_object", "The data comes as data_base64; send it as a JSON object in data.")
    return EMPTY if bytes(wire.data) == b"null" else wire.data


def _time(text: str) -> datetime:
    """An RFC 3339 instant, cut to microseconds; _Refused for anything else."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise _Refused("invalid_time", f"{text[:60]!r} is no time; write it as 2023-11-16T18:17:03.979960Z.")
    if match[1] is None:
        raise _Refused(
            "time_without_zone", f"The time {text!r} has no zone; end it with Z or an offset such as +02:00."
        )
    try:
        return datetime.fromisoformat(text.upper())
    except ValueError:
        raise _Refused(
            "invalid_time", f"{text[:60]!r} is no time that exists; check month, day, hour and zone."
        ) from None


def _read_each(text: str, kind: type[_Wire]) -> Reading:
    """Read a list event by event: slower, but each problem is found at its own place."""
    reading = Reading([], [])
    for index, raw in enumerate(elements(text)):
        reading.add(index, _read_object(index, raw, kind), raw)
    return reading


def _read_object(index: int, raw: str, kind: type[_Wire]) -> NewEvent | Problem:
    """Read the text of one event, naming what is wrong with it."""
    identifier: str | None = None
    try:
        fields = _object(raw, kind)
        identifier = fields.get("id") if isinstance(fields.get("id"), str) else None
        return _event(_typed(fields, kind))
    except _Refused as refused:
        return Problem(index, identifier, refused.code, refused.message)


def _object(raw: str, kind: type[_Wire]) -> dict[str, Any]:
    """The fields of one event, `data` as raw text; _Refused when it is no object or holds what is no JSON."""
    if raw[:1] != "{":
        raise _Refused("not_an_object", 'The event is not a JSON object; write {"id": …, "type": …, "subject": …}.')
    if any(match[2] for match in _ESCAPE.finditer(raw.encode())):
        raise _Refused("invalid_unicode", "The event holds half of a surrogate pair, which is no character.")
    try:
        fields = _fields.decode(raw)
        return {
            key: value if key.startswith("data") else msgspec.json.decode(value)
            for key, value in fields.items()
            if key in kind.__struct_fields__
        }
    except (msgspec.DecodeError, RecursionError):
        raise _Refused(
            "invalid_json",
            "The event is cut short, or holds what JSON does not know, such as NaN or a control character.",
        ) from None


def _typed(fields: dict[str, Any], kind: type[_Wire]) -> _Wire:
    """The event's fields with their types; _Refused names the first that is missing or of another type."""
    cloud = kind is _CloudWire
    for field in ("specversion", "id", "source", "type", "subject") if cloud else ("id", "type", "subject"):
        if fields.get(field) is None:
            raise _missing(field)
    for field in ("specversion", "id", "type", "subject", "source", "time"):
        if not isinstance(fields.get(field), str | None):
            raise _Refused(f"invalid_{field}", f"The {field} is not a string; write it in quotes.")
    return kind(**fields)


def _missing(field: str) -> _Refused:
    """The refusal of an event without a field that it needs."""
    return _Refused(f"missing_{field}", f"The event has no {field}; every event needs one.")
