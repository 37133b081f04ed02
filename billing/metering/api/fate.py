"""`GET /api/v1/events/{source}/{id}`: what became of an event, from its bytes to the meters that count it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
from django.db.models import Q
from django.http import HttpRequest, HttpResponse

from billing.metering import append, listing
from billing.metering.api.edge import asked, reader, reading
from billing.metering.asking import Request
from billing.metering.corrections.models import VoidedEvent
from billing.metering.errors import Refusal
from billing.metering.models import ApiKey, EventBatch, EventKey, EventSource, Meter
from billing.metering.reports.models import EventConflict
from billing.metering.reports.queries import located
from billing.money import plain
from billing.periods import Period
from customers.models import UsageSubject

SAME_INSTANT: Final = 10_000
"""Events of one subject and type within one microsecond among which one is found."""


@dataclass(frozen=True, slots=True)
class _Known:
    """An event whose key is known: its names, and where it lies, unless its month was taken out of the database."""

    source: str
    id: str
    key: EventKey
    batch: int | None
    n: int | None
    data: str | None


@reading
def fate(request: HttpRequest, *, address: str | None = None) -> HttpResponse:
    """What became of the event that the address names, as `source/id`, or the parameters `source` and `id`.

    404 for an event that never came, 409 where the address can be read as several events (both may hold slashes).
    """
    reader(request)
    if address is None:
        asked(request.GET, ("source", "id"), needed=("source", "id"))
        named = [(request.GET["source"], request.GET["id"])]
    else:
        asked(request.GET, ())
        named = [(address[:at], address[at + 1 :]) for at, character in enumerate(address) if character == "/"]
    found = _find([(source, id_) for source, id_ in named if source and id_ and "\0" not in source + id_])
    if not found:
        raise Refusal(404, "unknown_event", f"No event came as {address or ' '.join(named[0])!r}: source, then id.")
    if len(found) > 1:
        either = " or ".join(f"{source!r} with the id {id_!r}" for source, id_, _ in found)
        detail = f"The address may mean {either}; ask with ?source=…&id=… instead."
        raise Refusal(409, "ambiguous_address", detail)
    return HttpResponse(msgspec.json.encode(_answer(_known(*found[0]))), content_type="application/json")


def _find(named: list[tuple[str, str]]) -> list[tuple[str, str, EventKey]]:
    """Those of the sources and ids under which an event came, with its key: two queries."""
    sources = dict(EventSource.objects.filter(name__in={source for source, _ in named}).values_list("name", "pk"))
    digests = {
        UUID(append.digest_of(sources[source], id_)): (source, id_) for source, id_ in named if source in sources
    }
    keys = EventKey.objects.filter(pk__in=digests).select_related("type", "subject")
    return [(*digests[key.digest], key) for key in keys]


def _known(source: str, id_: str, key: EventKey) -> _Known:
    """The event, with its data as it was written, so that its numbers stay exact."""
    source_id = EventSource.objects.values_list("pk", flat=True).get(name=source)
    stored = located(key, source_id=source_id, event_id=id_)
    return _Known(source, id_, key, *((stored.batch, stored.n, stored.data) if stored else (None, None, None)))


def _answer(event: _Known) -> dict[str, Any]:
    """The members of the answer."""
    batch = EventBatch.objects.filter(pk=event.batch).first() if event.batch is not None else None
    sender = ApiKey.objects.filter(pk=batch.key_id).first() if batch and batch.key_id else None
    voids = VoidedEvent.objects.filter(batch=event.batch or 0, n=event.n or 0).select_related("correction")
    void = voids.first() if batch else None
    claim = _claim(event.key.subject.name, event.key.ts)
    state = "archived" if batch is None else "voided" if void else "stored"
    return {
        "source": event.source,
        "id": event.id,
        "type": event.key.type.name,
        "subject": event.key.subject.name,
        "time": event.key.ts,
        "data": None if event.data is None else msgspec.Raw(event.data.encode()),
        "state": state,
        "note": _NOTES[state],
        "recorded_at": batch and batch.recorded_at,
        "batch": event.batch,
        "origin": batch and batch.origin,
        "api_key": sender and sender.name,
        "voided": void
        and {"at": void.correction.created_at, "kind": void.correction.kind, "reason": void.correction.reason},
        "conflicts": EventConflict.objects.filter(digest=event.key.digest).count(),
        "customer": claim
        and {
            "external_id": claim.customer.external_id,
            "name": claim.customer.legal_name,
            "claimed_from": claim.valid_from,
            "claimed_until": claim.valid_to,
        },
        "meters": [_metered(meter, event, state) for meter in Meter.objects.filter(event_type=event.key.type.name)],
    }


_NOTES: Final = {
    "stored": "The event is stored.",
    "voided": "The event was taken back by a correction and does not count.",
    "archived": "The event’s month was taken out of the database; restore the month to see its data.",
}


def _claim(subject: str, at: datetime) -> UsageSubject | None:
    """The claim on a subject at an instant: at most one customer has it."""
    begun = Q(valid_from=None) | Q(valid_from__lte=at)
    lasting = Q(valid_to=None) | Q(valid_to__gt=at)
    return UsageSubject.objects.filter(begun, lasting, subject=subject).select_related("customer").first()


def _metered(meter: Meter, event: _Known, state: str) -> dict[str, Any]:
    """What a meter of the event's type makes of it: the value, or the reason why it does not count."""
    counts, value, reason = False, None, _NOTES[state]
    if state == "stored":
        at = event.key.ts
        instant = Period(at, at + timedelta(microseconds=1))
        asked = Request(0, ((event.key.subject.name, instant),), instant)
        seen = listing.events_of(meter, asked, limit=SAME_INSTANT)
        one = next((each for each in seen if (each.source, each.id) == (event.source, event.id)), None)
        if one is None:
            reason = "The meter’s filters leave the event out."
        else:
            counts, value, reason = not one.problem, one.value, one.problem
    text = value if value is None or isinstance(value, str) else plain(value)
    return {"meter": meter.code, "name": meter.name, "counts": counts, "value": text, "reason": reason or None}
