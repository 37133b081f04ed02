"""The page of one event: what was sent, who it counts for, what every meter makes of it, and what it led to."""

from typing import Any
from urllib.parse import urlencode

from django.db import connection
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse

from billing.metering.corrections.models import Backfill, CorrectedEvent
from billing.metering.explorer import events, parts
from billing.metering.explorer.events import Fate, Stored
from billing.metering.explorer.events_page import may_see_events, subject_url
from billing.metering.explorer.explorer_page import address
from billing.metering.explorer.presets import period_of
from billing.metering.explorer.wording import badges_of, body_of, counted_text, event_url
from billing.metering.models import ApiKey
from billing.periods import local_date
from customers.backoffice import change_url
from customers.models import Customer


def event(request: HttpRequest, model_admin: Any) -> HttpResponse:
    """The event of the source and id in the address; 404 when nobody ever sent it."""
    may_see_events(request)
    source, event_id = request.GET.get("source", ""), request.GET.get("id", "")
    found, away = events.find(event_id, source)
    if not found and not away:
        raise Http404(f"No event {event_id} of {source} is known.")
    context = {
        **model_admin.admin_site.each_context(request),
        "title": f"Event {event_id}",
        "source": source,
        "id": event_id,
        "away": away[0] if away else None,
    }
    if found:
        context |= _facts(request, found[0])
    return TemplateResponse(request, "billing/admin/event.html", context)


def _facts(request: HttpRequest, stored: Stored) -> dict[str, Any]:
    """Everything about an event that is stored."""
    fate = events.fates([stored])[stored.batch, stored.n]
    customer = Customer.objects.filter(pk=fate.customer_id).first() if fate.customer_id else None
    key = ApiKey.objects.filter(pk=stored.key_id).first() if stored.key_id else None
    backfill = Backfill.objects.filter(pk=stored.backfill_id).first() if stored.backfill_id else None
    cards = [part(request, stored, fate) for part in parts.of_event]
    return {
        "event": stored,
        "badges": badges_of(fate),
        "fate": fate,
        "customer": customer,
        "customer_url": change_url(customer) if customer else "",
        "claim_url": f"{reverse('admin:billing_unmatched')}?{urlencode({'claim': stored.subject})}",
        "subject_url": subject_url(stored.subject),
        "key": key,
        "key_url": change_url(key) if key and request.user.has_perm("billing.view_apikey") else "",
        "backfill": backfill,
        "pretty": body_of(stored, _pretty(stored.data)),
        "raw": body_of(stored),
        "meters": _meters(stored, fate, customer),
        "corrections": _corrections(stored),
        "replaces": _replaces(stored),
        "cards": [card for card in cards if card is not None],
    }


def _pretty(data: str) -> str:
    """JSON for reading; numbers stay as they are."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT jsonb_pretty(%s::jsonb)", [data])
        return str(cursor.fetchone()[0])


def _meters(stored: Stored, fate: Fate, customer: Customer | None) -> list[dict[str, Any]]:
    """Each meter of the type with what it counts, and the customer's usage around the event."""
    rows = []
    for verdict in fate.verdicts:
        url = ""
        if customer:
            day = local_date(stored.ts, customer.timezone)
            month = period_of(day.replace(day=1), day, customer.timezone)
            url = address(verdict.meter, customer.pk, period=month, timezone=customer.timezone)
        rows.append({
            "meter": verdict.meter, "url": change_url(verdict.meter), "usage_url": url,
            "counts": counted_text(verdict), "problem": not verdict.counts,
        })  # fmt: skip
    return rows


def _corrections(stored: Stored) -> list[dict[str, Any]]:
    """Who voided, replaced or reinstated it, when and why, the latest first; with what counts instead."""
    rows = CorrectedEvent.objects.filter(batch=stored.batch, n=stored.n).select_related("correction__created_by")
    found = []
    for row in rows.order_by("-correction_id"):
        instead = events.at_place(row.by_batch, row.by_n) if row.by_batch is not None and row.by_n is not None else None
        found.append({
            "correction": row.correction, "counts": row.counts, "instead": instead,
            "instead_url": event_url(instead.source, instead.id) if instead else "",
        })  # fmt: skip
    return found


def _replaces(stored: Stored) -> dict[str, Any] | None:
    """The event that this one counts instead of."""
    row = (
        CorrectedEvent.objects.filter(correction__batch=stored.batch, by_n=stored.n)
        .select_related("correction")
        .first()
    )
    before = events.at_place(row.batch, row.n) if row else None
    if row is None or before is None:
        return None
    return {"correction": row.correction, "event": before, "url": event_url(before.source, before.id)}
