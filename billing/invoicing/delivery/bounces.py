"""Reports of mail that came back (RFC 3464): which message, which addresses, and why."""

from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import Message
from typing import cast


@dataclass(frozen=True, slots=True)
class Bounce:
    """The message id of what came back, with its brackets, and the reason by address."""

    message_id: str
    reasons: dict[str, str]


class NoBounce(Exception):
    """What was read is no report of mail that came back."""


def read_bounce(content: bytes) -> Bounce:
    """The report in an e-mail as it arrived. NoBounce where it is none, or tells of delays only."""
    mail = message_from_bytes(content, policy=policy.default)
    message_id, reasons = "", {}
    for part in mail.walk():
        kind = part.get_content_type()
        if kind == "message/delivery-status":
            for block in cast(list[Message], part.get_payload()):
                if str(block.get("Action", "")).strip().lower() == "failed":
                    reasons[_value(block, "Final-Recipient")] = _value(block, "Diagnostic-Code") or "no reason given"
        elif kind == "text/rfc822-headers":
            headers = message_from_bytes(cast(bytes, part.get_payload(decode=True)), policy=policy.default)
            message_id = str(headers.get("Message-ID", "")).strip()
        elif part is not mail and part.get("Message-ID"):  # the message itself, inside message/rfc822
            message_id = str(part["Message-ID"]).strip()
    if not reasons:
        raise NoBounce("This is no report of mail that came back: it has no part message/delivery-status that failed.")
    if not message_id:
        raise NoBounce("The report does not say which message came back: it has no Message-ID of it.")
    return Bounce(message_id, reasons)


def _value(block: Message, name: str) -> str:
    """A field without its type: “rfc822; ap@acme.example” is “ap@acme.example”."""
    return " ".join(str(block.get(name, "")).rpartition("; ")[2].split())
