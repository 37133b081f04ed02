"""The inbox of usage that counts for nobody or cannot be read, and the claim that takes a subject out of it."""

from datetime import date, timedelta
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from billing.metering.explorer import claiming, parts
from billing.metering.explorer.activity import unmatched_subjects, unmatched_types
from billing.metering.explorer.events_page import subject_url
from billing.metering.explorer.unreadable import Unreadable, unreadable
from billing.metering.explorer.wording import event_url
from billing.metering.forms import ClaimForm
from billing.periods import local_date
from config import clock
from customers.backoffice import change_url, quantity_text
from customers.errors import CustomerError

SPANS = (30, 90, 365)


def unmatched(request: HttpRequest, model_admin: Any) -> HttpResponse:
    """Subjects nobody claims, types no meter counts, events meters cannot read; and the claim, which is shown first."""
    if not request.user.has_perm("billing.view_meter"):
        raise PermissionDenied
    may_claim = request.user.has_perm("customers.add_usagesubject")
    subject = request.POST.get("subject") or request.GET.get("claim")
    form = ClaimForm(request.POST or None, initial={"subject": subject}) if subject and may_claim else None
    if request.method == "POST":
        if form is None:
            raise PermissionDenied
        if form.is_valid() and (answer := _claim(request, form, model_admin)):
            return answer
    days = next((span for span in SPANS if request.GET.get("days") == str(span)), SPANS[1])
    since = local_date(clock.now(), "UTC") - timedelta(days=days)
    context = {
        **model_admin.admin_site.each_context(request),
        "title": "Unmatched and invalid usage",
        "form": form,
        "media": form.media if form else "",
        "may_claim": may_claim,
        "may_add_meter": request.user.has_perm("billing.add_meter"),
        "may_see_events": request.user.has_perm("billing.view_event"),
        "days": days,
        "spans": SPANS,
        **_found(since),
    }
    return TemplateResponse(request, "billing/admin/unmatched.html", context)


def _found(since: date) -> dict[str, Any]:
    """The three lists."""
    return {
        "subjects": [(row, subject_url(row.name)) for row in unmatched_subjects(since)],
        "types": unmatched_types(since),
        "unreadable": [(row, change_url(row.meter), _latest(row)) for row in unreadable(since)],
    }


def _latest(row: Unreadable) -> str:
    """The page of the latest event that cannot be read."""
    return event_url(row.source, row.event_id) if row.event_id else ""


def _claim(request: HttpRequest, form: ClaimForm, model_admin: Any) -> HttpResponse | None:
    """The preview or, once confirmed, the claim; None when it is refused, which the form then says."""
    given = {name: form.cleaned_data[name] for name in ("customer", "subject", "valid_from")}
    try:
        if "confirm" not in request.POST:
            return _preview(request, form, given, model_admin)
        with transaction.atomic():
            claiming.claim(**given)()
    except CustomerError as error:
        form.add_error(None, str(error))
        return None
    messages.success(request, f"Events of {given['subject']} count for {given['customer']}, those of the past too.")
    return HttpResponseRedirect(reverse("admin:billing_unmatched"))


def _preview(request: HttpRequest, form: ClaimForm, given: dict[str, Any], model_admin: Any) -> HttpResponse:
    """What the claim would change, with the button that makes it."""
    found = claiming.preview(**given)
    act = claiming.claim(**given)
    cards = [part(request, given["customer"], act) for part in parts.of_claim]
    context = {
        **model_admin.admin_site.each_context(request),
        "title": f"Claim {given['subject']} for {given['customer']}",
        "given": given,
        "customer_url": change_url(given["customer"]),
        "gained": found.gained,
        "events": quantity_text(found.gained.events),
        "effects": [
            {
                "effect": effect,
                "before": quantity_text(effect.before),
                "after": quantity_text(effect.after),
                "change": ("+" if effect.change > 0 else "") + quantity_text(effect.change),
            }
            for effect in found.effects
        ],
        "cards": [card for card in cards if card is not None],
    }
    return TemplateResponse(request, "billing/admin/claim.html", context)
