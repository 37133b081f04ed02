"""CloudEvents 1.0 over HTTP: structured, batched, and binary, where the headers carry the attributes.

An event is read as in any other body, and must have what CloudEvents requires (specversion, id, source, type) and what
Meterbook bills by (subject). Extensions are passed over. Pure: no Django, no database, no clock.
"""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote_to_bytes

import msgspec

from billing.metering import validate
from billing.metering.errors import UnreadableBody
from billing.metering.validate import Problem, Reading

ATTRIBUTES: Final = ("specversion", "id", "source", "type", "subject", "time")
"""Those that are read; the first four are required by CloudEvents."""

_data = msgspec.json.Decoder(msgspec.Raw)


def structured(body: bytes) -> Reading:
    """One event as a JSON object; UnreadableBody for anything else."""
    if body.lstrip(b" \t\r\n")[:1] != b"{":
        raise UnreadableBody("not_an_event", "The body is no JSON object; send one event, or a batch under its type.")
    return validate.read(body, cloud=True)


def batched(body: bytes) -> Reading:
    """A list of events, which may be empty; UnreadableBody for anything else."""
    if body.lstrip(b" \t\r\n")[:1] != b"[":
        raise UnreadableBody("not_a_batch", "The body is no JSON list; send a list of events, or one under its type.")
    return validate.read(body, cloud=True)


def is_binary(headers: Mapping[str, str]) -> bool:
    """Whether the headers carry an event's attributes; one suffices, so that the missing ones can be named."""
    return any(f"ce-{name}" in headers for name in ATTRIBUTES)


def binary(headers: Mapping[str, str], body: bytes) -> Reading:
    """One event whose attributes are headers, and whose data is the body, JSON; an empty body is no data.

    `headers` finds names in any case. UnreadableBody when the body is no JSON.
    """
    fields: dict[str, str | msgspec.Raw] = {}
    for name in ATTRIBUTES:
        value = headers.get(f"ce-{name}")
        if value is None:
            continue
        try:
            fields[name] = _text(value)
        except UnicodeError:
            message = f"The header ce-{name} is not UTF-8 in percent-encoding; write é as %C3%A9."
            return Reading([], [Problem(0, None, f"invalid_{name}", message)])
    if body.strip(b" \t\r\n"):
        fields["data"] = _json(body)
    return validate.read(msgspec.json.encode(fields), cloud=True)


def _text(value: str) -> str:
    """What a header means: quotes taken off, then percent-decoded, once; UnicodeError for what is no UTF-8."""
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = re.sub(r"\\(.)", r"\1", value[1:-1])
    return unquote_to_bytes(value.encode("latin-1")).decode()


def _json(body: bytes) -> msgspec.Raw:
    """The body as one JSON value, so that it can stand within another; UnreadableBody when it is none."""
    try:
        body.decode()
        return _data.decode(body)
    except UnicodeDecodeError as error:
        raise UnreadableBody("not_utf8", f"The body is not UTF-8 at byte {error.start}; encode it as UTF-8.") from None
    except (msgspec.DecodeError, RecursionError):
        raise UnreadableBody("invalid_json", "The body, which is the event's data, is no JSON.") from None
