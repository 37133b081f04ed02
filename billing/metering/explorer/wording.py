"""What became of an event, in words and addresses."""

from decimal import Decimal
from json import dumps
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse

from billing.metering.explorer.events import Fate, Stored, Verdict
from customers.backoffice import badge, quantity_text

KINDS = {
    "Counted": "success", "Voided": "danger", "Invalid": "danger", "No customer": "warning", "No meter": "warning",
    "Filtered out": "", "Duplicate": "", "Conflict": "danger", "Rejected": "danger",
}  # fmt: skip


def event_url(source: str, event_id: str) -> str:
    """The page of the event."""
    return f"{reverse('admin:billing_event')}?{urlencode({'source': source, 'id': event_id})}"


def words_of(fate: Fate) -> list[str]:
    """What became of the event, at most a word for each thing: “Counted”, or why not."""
    if fate.voided:
        return ["Voided"]
    words = [] if fate.customer_id else ["No customer"]
    if not fate.verdicts:
        return [*words, "No meter"]
    if any(verdict.passes and verdict.problem for verdict in fate.verdicts):
        words.append("Invalid")
    if not any(verdict.passes for verdict in fate.verdicts):
        words.append("Filtered out")
    counts = fate.customer_id and any(verdict.counts for verdict in fate.verdicts)
    return ["Counted", *words] if counts else words


def badges_of(fate: Fate) -> list[str]:
    """The words as labels."""
    return [badge(word, KINDS) for word in words_of(fate)]


def counted_text(verdict: Verdict) -> str:
    """What a meter counts of an event: “1” for a count, the value, or why nothing."""
    if not verdict.passes:
        return "The filters leave it out."
    if verdict.problem:
        return verdict.problem
    if verdict.value is None:
        return "1"
    return quantity_text(verdict.value) if isinstance(verdict.value, Decimal) else str(verdict.value)


def body_of(event: Stored, pretty: str = "") -> str:
    """The event as JSON: in one line, or with its data as PostgreSQL prints it for reading, numbers exact."""
    fields: dict[str, Any] = {
        "id": event.id, "source": event.source, "type": event.type, "subject": event.subject,
        "time": event.ts.isoformat(),
    }  # fmt: skip
    texts = [f"{dumps(name)}: {dumps(value, ensure_ascii=False)}" for name, value in fields.items()]
    if not pretty:
        return "{" + ", ".join([*texts, f'"data": {event.data}']) + "}"
    data = pretty.replace("\n", "\n    ")
    return "{\n    " + ",\n    ".join([*texts, f'"data": {data}']) + "\n}"
