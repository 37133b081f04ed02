"""Events as senders to Lago write them, one or many, as events of ours.

`transaction_id` is the id, `external_subscription_id` the subject, `code` the type, `timestamp` (seconds since 1970, or
an instant) the time, and `properties` the data, into which `precise_total_amount_cents` goes as a property of that
name. Pure: no Django, no database, no clock.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import msgspec

from billing.metering import validate
from billing.metering.elements import elements
from billing.metering.errors import UnreadableBody
from billing.metering.validate import NewEvent, Problem, Reading

NAMES: Final = {"id": "transaction_id", "type": "code", "subject": "external_subscription_id"}
AMOUNT: Final = "precise_total_amount_cents"

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ONE: Final = re.compile(r'[ \t\r\n]*\{[ \t\r\n]*"event"[ \t\r\n]*:[ \t\r\n]*(?=\{)')
_MANY: Final = re.compile(r'[ \t\r\n]*\{[ \t\r\n]*"events"[ \t\r\n]*:[ \t\r\n]*(?=\[)')
_SECONDS: Final = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,30})?")  # no more: no year has it, and no exponent is a bomb
_FIELDS: Final = {"subject": NAMES["subject"], "type": NAMES["type"], "time": "timestamp", "data": "properties"}
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_many = msgspec.json.Decoder(dict[str, list[msgspec.Raw]])


def is_one(body: bytes) -> bool:
    """Whether the body is one event of Lago's, `{"event": {…}}`, and not one of ours that has such a key."""
    if b'"event"' not in body[:100] or not _ONE.match(body[:200].decode(errors="replace")):
        return False
    try:
        return "id" not in _fields.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return True


def read_one(body: bytes) -> Reading:
    """The event of `{"event": {…}}`; UnreadableBody when the object around it cannot be followed."""
    return _read([_within(_utf8(body), _ONE)])


def read_many(body: bytes) -> Reading:
    """The events of `{"events": […]}`; UnreadableBody for anything else."""
    text = _utf8(body)
    try:
        return _read(bytes(raw).decode() for raw in _many.decode(text)["events"])
    except (msgspec.DecodeError, RecursionError, KeyError):  # something is wrong somewhere: find out with which
        return _read(elements(_within(text, _MANY)))


def echo(event: NewEvent, now: datetime) -> dict[str, Any]:
    """The event as Lago answers it; `now` is the time of an event that carries none, and of recording."""
    return {
        "lago_id": None,
        "transaction_id": event.id,
        "lago_customer_id": None,
        "lago_subscription_id": None,
        "external_subscription_id": event.subject,
        "code": event.type,
        "timestamp": _text(event.time or now),
        AMOUNT: _amount(event),
        "properties": event.data,
        "created_at": _text(now),
    }


def error_details(problems: Iterable[Problem]) -> dict[str, dict[str, list[str]]]:
    """What is wrong, as Lago says it: by place in the request, then by field, codes that its users know."""
    return {str(problem.index): _detail(problem.code) for problem in problems}


def _detail(code: str) -> dict[str, list[str]]:
    """The field that a code concerns, and Lago's word for what is wrong with it where it has one."""
    field = next((theirs for ours, theirs in _FIELDS.items() if ours in code), NAMES["id"])
    if code == "conflict":
        return {field: ["value_already_exist"]}
    return {field: ["value_is_mandatory" if code.startswith("missing_") else code]}


def _read(texts: Iterable[str]) -> Reading:
    """The events, each translated by itself; what cannot be is left as it is, and named by the reading."""
    return validate.read(b"[" + b",".join(map(_translated, texts)) + b"]")


def _utf8(body: bytes) -> str:
    """The body as text; UnreadableBody when it is none."""
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise UnreadableBody("not_utf8", f"The body is not UTF-8 at byte {error.start}; encode it as UTF-8.") from None


def _within(text: str, head: re.Pattern[str]) -> str:
    """What stands in the one key of the object around it; UnreadableBody when that is another object."""
    found, rest = head.match(text), text.rstrip(" \t\r\n")
    if found is None or not rest.endswith("}"):
        message = 'The body is not as Lago’s clients send it; send {"event": {…}}, or {"events": […]} as a batch.'
        raise UnreadableBody("not_events", message)
    return rest[found.end() : -1].rstrip(" \t\r\n")


def _translated(text: str) -> bytes:
    """One event of Lago's as one of ours, in JSON; any other text as it is."""
    try:
        theirs = {key: value for key, value in _fields.decode(text).items() if bytes(value) != b"null"}
        ours = {field: theirs[name] for field, name in NAMES.items() if name in theirs}
        if "timestamp" in theirs:
            ours["time"] = _time(theirs["timestamp"])
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return text.encode()
    ours["data"] = _data(theirs.get("properties", validate.EMPTY), theirs.get(AMOUNT))
    return msgspec.json.encode(ours)


def _time(raw: msgspec.Raw) -> msgspec.Raw:
    """Seconds, as a number or a text of one, as an instant; anything else as it is."""
    text = bytes(raw).decode().strip('"')
    if not _SECONDS.fullmatch(text):
        return raw if bytes(raw)[:1] == b'"' else _raw(text[:60])
    try:
        return _raw((_EPOCH + timedelta(microseconds=int(Decimal(text) * 1_000_000))).isoformat())
    except OverflowError:
        return raw


def _data(properties: msgspec.Raw, amount: msgspec.Raw | None) -> msgspec.Raw:
    """The properties with the amount among them; jsonb keeps the last of two equal names, which is the amount."""
    text = bytes(properties).strip(b" \t\r\n")
    if amount is None or text[:1] != b"{":
        return properties
    held = text[1:-1].strip(b" \t\r\n")
    return msgspec.Raw(b"{" + held + (b"," if held else b"") + f'"{AMOUNT}":'.encode() + bytes(amount) + b"}")


def _amount(event: NewEvent) -> str | None:
    """The amount that the event carries, as the text that Lago’s answer has."""
    if AMOUNT.encode() not in bytes(event.data):
        return None
    raw = _fields.decode(event.data).get(AMOUNT)
    return None if raw is None else bytes(raw).decode().strip('"')


def _raw(value: str) -> msgspec.Raw:
    """A text as JSON."""
    return msgspec.Raw(msgspec.json.encode(value))


def _text(instant: datetime) -> str:
    """An instant as Lago writes it: in UTC, with milliseconds."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
