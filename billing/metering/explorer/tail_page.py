"""The live tail: a page that asks every two seconds what arrived, and the answers to it."""

from datetime import datetime, timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.widgets import SELECT_CLASSES

from billing.metering.explorer import events, tail
from billing.metering.explorer.events import Fate, Stored
from billing.metering.explorer.events_page import instant, may_see_events
from billing.metering.explorer.tail import Filter
from billing.metering.explorer.wording import KINDS, counted_text, event_url, words_of
from billing.metering.models import ApiKey, EventType
from config import clock
from customers.backoffice import change_url

TYPES = 200
RECENT = timedelta(minutes=15)  # what was refused before is not told when the page opens
OVERLAP = timedelta(seconds=10)  # a refusal is dated before it is committed; the script knows what it has shown


def live(request: HttpRequest, model_admin: Any) -> HttpResponse:
    """The page; its script does the asking."""
    may_see_events(request)
    context = {
        **model_admin.admin_site.each_context(request),
        "title": "Live events",
        "types": EventType.objects.order_by("name").values_list("name", flat=True)[:TYPES],
        "keys": ApiKey.objects.order_by("name"),
        "answers_url": reverse("admin:billing_usage_live_events"),
        "select_classes": " ".join(SELECT_CLASSES),
    }
    return TemplateResponse(request, "billing/admin/live.html", context)


def live_events(request: HttpRequest) -> HttpResponse:
    """What arrived since `after` (a batch), without the batches in `seen`, as JSON."""
    may_see_events(request)
    given = request.GET
    narrow = Filter(given.get("type", ""), given.get("subject", ""), _number(given.get("key")))
    found = tail.arrived(
        after=_number(given.get("after")),
        seen=[number for number in map(_number, given.get("seen", "").split(",")) if number is not None],
        narrow=narrow,
    )
    fates = events.fates(found.events)
    now = clock.now()
    since = min(instant(given.get("since")) or now - RECENT, now) - OVERLAP
    answer = {
        "batches": found.batches,
        "count": found.count,
        "passed_over": found.passed_over,
        "events": [_row(event, fates[event.batch, event.n]) for event in found.events],
        "refused": _refused(request, since, narrow),
        "now": now.isoformat(),
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


def _refused(request: HttpRequest, since: datetime, narrow: Filter) -> list[dict[str, Any]]:
    """Conflicts and rejections as the script prints them, the latest first."""
    rows: list[tuple[datetime, dict[str, Any]]] = []
    if request.user.has_perm("billing.view_eventconflict"):
        for conflict in tail.conflicts(since, narrow):
            sent = {name: str(conflict.sent.get(name) or "") for name in ("type", "subject", "time")}
            says = f"Known with another content, which stands; sent {conflict.count:,} times."
            row = _other("Conflict", change_url(conflict), conflict.last_seen, conflict.event_id, says)
            rows.append((conflict.last_seen, row | sent))
    if request.user.has_perm("billing.view_eventreject"):
        for reject in tail.rejections(since, narrow):
            says = f"{reject.last_message} ({reject.count:,} in this hour)"
            rows.append((reject.last_at, _other("Rejected", change_url(reject), reject.last_at, reject.code, says)))
    return [row for _, row in sorted(rows, key=lambda each: each[0], reverse=True)]


def _other(word: str, url: str, at: datetime, name: str, says: str) -> dict[str, Any]:
    """One thing that was not stored; it is told again when it happens again."""
    return {
        "place": f"{url}@{at.isoformat()}", "recorded": f"{at:%H:%M:%S}", "time": "", "id": name, "url": url,
        "source": "", "type": "", "subject": "", "customer": "", "fate": [[word, KINDS[word]]], "counts": [says],
    }  # fmt: skip


def _number(text: str | None) -> int | None:
    """A number that a batch or a key can have, None for any other text."""
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 19 else None
