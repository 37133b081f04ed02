"""Reports of mail that came back: which message, which addresses, and why.

As mail servers write them (RFC 3464), or as JSON, as services that send mail can be told to. Pure: no Django, no clock.
"""

import json
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from typing import Any, Final

MOST_ADDRESSES: Final = 100
"""Addresses that are kept of one report: no message of ours goes to more."""
LONGEST: Final = 500
"""Characters of a reason that are kept."""


@dataclass(frozen=True, slots=True)
class Bounce:
    """The message id of what came back, with its brackets, and the reason by address."""

    message_id: str
    reasons: dict[str, str]


class NoBounce(Exception):
    """What was read is no report of mail that came back, or of none of ours; the sentence says what it lacks."""


def read_bounce(content: bytes) -> Bounce:
    """The report in an e-mail as it arrived. NoBounce where it is none, or tells of delays only."""
    mail = message_from_bytes(content)
    message_id, reasons = "", {}
    for part in mail.walk():
        kind, inside = part.get_content_type(), part.get_payload()
        if kind == "message/delivery-status" and isinstance(inside, list):
            for block in (each for each in inside[: MOST_ADDRESSES + 1] if isinstance(each, Message)):
                if _text(block.get("Action", "")).lower() == "failed":
                    reasons[_value(block, "Final-Recipient")] = _value(block, "Diagnostic-Code")
        elif kind == "text/rfc822-headers" and isinstance(raw := part.get_payload(decode=True), bytes):
            message_id = _text(message_from_bytes(raw).get("Message-ID", ""))
        elif part is not mail and part.get("Message-ID"):  # the message itself, inside message/rfc822
            message_id = _text(part["Message-ID"])
    if not reasons:
        raise NoBounce("This is no report of mail that came back: it has no part message/delivery-status that failed.")
    if not message_id:
        raise NoBounce("The report does not say which message came back: it has no Message-ID of it.")
    return _bounce(message_id, reasons)


def read_json_bounce(content: bytes) -> Bounce:
    """The report in `{"message_id": "<…>", "address": "…", "reason": "…"}`; NoBounce where it lacks something."""
    try:
        given = json.loads(content)
    except (ValueError, RecursionError):
        raise NoBounce("The body is no JSON; check how it was made.") from None
    if not isinstance(given, dict):
        raise NoBounce("The body is no JSON object with message_id, address and reason.")
    for name in ("message_id", "address"):
        if not isinstance(given.get(name), str) or not _text(given[name]):
            raise NoBounce(f"The report has no {name}: write it as a text.")
    return _bounce(_text(given["message_id"]), {_text(given["address"]): _text(given.get("reason") or "")})


def _bounce(message_id: str, reasons: dict[str, str]) -> Bounce:
    """With the brackets that many programs leave out, and no longer than what is kept."""
    kept = {address[:LONGEST]: reason[:LONGEST] or "no reason given" for address, reason in reasons.items()}
    return Bounce(f"<{message_id.strip('<>')}>", kept)


def _value(block: Message, name: str) -> str:
    """A field without its type: “rfc822; ap@acme.example” is “ap@acme.example”."""
    return _text(block.get(name, "")).rpartition("; ")[2]


def _text(value: Any) -> str:
    """One line that any database can keep: without NUL, and without halves of characters."""
    whole = str(value).replace("\0", "").encode("utf-8", "replace").decode()
    return " ".join(whole.split())
