"""The live tail: a page that asks every two seconds what arrived, and the answers to it."""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.response import TemplateResponse
from django.urls import reverse

from billing.metering.explorer import events, tail
from billing.metering.explorer.events import Fate, Stored
from billing.metering.explorer.events_page import SEES_EVENTS
from billing.metering.explorer.tail import Filter
from billing.metering.explorer.wording import KINDS, counted_text, event_url, words_of
from billing.metering.models import ApiKey, EventType

TYPES = 200


def live(request: HttpRequest, model_admin: Any) -> HttpResponse:
    """The page; its script does the asking."""
    if not request.user.has_perms(SEES_EVENTS):
        raise PermissionDenied
    context = {
        **model_admin.admin_site.each_context(request),
        "title": "Live events",
        "types": EventType.objects.order_by("name").values_list("name", flat=True)[:TYPES],
        "keys": ApiKey.objects.order_by("name"),
        "answers_url": reverse("admin:billing_usage_live_events"),
    }
    return TemplateResponse(request, "billing/admin/live.html", context)


def live_events(request: HttpRequest) -> HttpResponse:
    """What arrived since `after` (a batch), without the batches in `seen`, as JSON."""
    if not request.user.has_perms(SEES_EVENTS):
        raise PermissionDenied
    given = request.GET
    key = given.get("key", "")
    found = tail.arrived(
        after=_number(given.get("after")),
        seen=[number for number in map(_number, given.get("seen", "").split(",")) if number is not None],
        narrow=Filter(given.get("type", ""), given.get("subject", ""), _number(key)),
    )
    fates = events.fates(found.events)
    answer = {
        "batches": found.batches,
        "count": found.count,
        "passed_over": found.passed_over,
        "events": [_row(event, fates[event.batch, event.n]) for event in found.events],
    }
    return JsonResponse(answer, headers={"Cache-Control": "no-store"})


def _row(event: Stored, fate: Fate) -> dict[str, Any]:
    """One event as the script prints it."""
    return {
        "place": f"{event.batch}/{event.n}",
        "recorded": f"{event.recorded_at:%H:%M:%S}",
        "time": f"{event.ts:%Y-%m-%d %H:%M:%S}",
        "id": event.id,
        "url": event_url(event.source, event.id),
        "source": event.source,
        "type": event.type,
        "subject": event.subject,
        "customer": fate.customer,
        "fate": [[word, KINDS[word]] for word in words_of(fate)],
        "counts": [f"{verdict.meter.code}: {counted_text(verdict)}" for verdict in fate.verdicts if verdict.passes],
    }


def _number(text: str | None) -> int | None:
    """A number that a batch or a key can have, None for any other text."""
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 19 else None
