"""Pages of usage: a customer's month by day, and the inbox of events that count for nobody."""

import json
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse

from billing.charts import bars
from billing.metering import listing, queries, store
from billing.metering.asking import Quantity, Request
from billing.metering.forms import ClaimForm
from billing.metering.models import Meter
from billing.periods import Period, local_date, local_midnight
from config import clock
from customers import services
from customers.backoffice import change_url, quantity_text
from customers.errors import CustomerError
from customers.models import Customer

SAMPLE = 20
SPANS = (30, 90, 365)


def customer_usage(request: HttpRequest, customer_id: int, model_admin: Any) -> HttpResponse:
    """A customer's month: each meter's total, and one meter by day with its latest events as they came."""
    if not request.user.has_perms(["customers.view_customer", "billing.view_meter"]):
        raise PermissionDenied
    customer = get_object_or_404(Customer, pk=customer_id)
    month = _month(request.GET.get("month"), local_date(clock.now(), customer.timezone))
    after = _after(month)
    period = Period(local_midnight(month, customer.timezone), local_midnight(after, customer.timezone))
    asked = queries.request_for(customer, period)
    meters = list(Meter.objects.all())
    totals = [(meter, store.quantities(meter, [asked])[customer.pk]) for meter in meters]
    chosen = next((meter for meter in meters if meter.code == request.GET.get("meter")), None)
    chosen = chosen or next((meter for meter, total in totals if total.events or total.invalid), None)
    context = {
        **model_admin.admin_site.each_context(request),
        "title": f"Usage of {customer}",
        "opts": Customer._meta,
        "original": customer,
        "customer": customer,
        "customer_url": change_url(customer),
        "month": f"{month:%Y-%m}",
        "month_name": f"{month:%B %Y}",
        "earlier": f"{month - timedelta(days=1):%Y-%m}",
        "later": f"{after:%Y-%m}",
        "has_claims": bool(asked.claims),
        "totals": [
            {
                "meter": meter,
                "total": quantity_text(total.value),
                "events": quantity_text(total.events),
                "invalid": quantity_text(total.invalid) if total.invalid else "",
                "chosen": meter == chosen,
            }
            for meter, total in totals
        ],
        "detail": _detail(chosen, asked, month, after, customer.timezone) if chosen else None,
    }
    return TemplateResponse(request, "billing/admin/usage.html", context)


def _detail(meter: Meter, asked: Request, month: date, after: date, timezone: str) -> dict[str, Any]:
    """One meter: chart and table by day, and a sample of the raw events."""
    found = dict(store.by_day(meter, asked, timezone))
    days = [month + timedelta(days=place) for place in range((after - month).days)]
    values = [found.get(day, Quantity()).value for day in days]
    return {
        "meter": meter,
        "adds_up": meter.aggregation in (Meter.Aggregation.COUNT, Meter.Aggregation.SUM),
        "chart": bars([f"{day.day}" for day in days], {meter.unit: values}),
        "days": [
            {
                "day": day,
                "quantity": quantity_text(quantity.value),
                "events": quantity_text(quantity.events),
                "invalid": quantity_text(quantity.invalid) if quantity.invalid else "",
            }
            for day, quantity in sorted(found.items())
        ],
        "sample": [
            {
                "event": event,
                "value": quantity_text(event.value)
                if not isinstance(event.value, str) and event.value
                else event.value,
                "data": json.dumps(event.data, indent=1, default=str, ensure_ascii=False),
            }
            for event in listing.events_of(meter, asked, limit=SAMPLE)
        ],
    }


def unmatched(request: HttpRequest, model_admin: Any) -> HttpResponse:
    """Events that count for nobody, by subject and by type, and the form that claims a subject for a customer."""
    if not request.user.has_perm("billing.view_meter"):
        raise PermissionDenied
    may_claim = request.user.has_perm("customers.add_usagesubject")
    subject = request.POST.get("subject") or request.GET.get("claim")
    form = ClaimForm(request.POST or None, initial={"subject": subject}) if subject and may_claim else None
    if request.method == "POST":
        if form is None:
            raise PermissionDenied
        if form.is_valid() and _claimed(request, form):
            return HttpResponseRedirect(reverse("admin:billing_unmatched"))
    days = next((span for span in SPANS if request.GET.get("days") == str(span)), SPANS[1])
    now = clock.now()
    period = Period(now - timedelta(days=days), now + timedelta(days=1))
    context = {
        **model_admin.admin_site.each_context(request),
        "title": "Unmatched usage",
        "form": form,
        "media": form.media if form else "",
        "may_claim": may_claim,
        "may_add_meter": request.user.has_perm("billing.add_meter"),
        "days": days,
        "spans": SPANS,
        "subjects": queries.unmatched_subjects(period),
        "types": queries.unmatched_types(period),
    }
    return TemplateResponse(request, "billing/admin/unmatched.html", context)


def _claimed(request: HttpRequest, form: ClaimForm) -> bool:
    """Claim the subject, and say so; or show at the form why not."""
    given = form.cleaned_data
    start = datetime.combine(given["valid_from"], time(), UTC) if given["valid_from"] else None
    try:
        services.claim_subject(customer=given["customer"], subject=given["subject"], valid_from=start)
    except CustomerError as error:
        form.add_error(None, str(error))
        return False
    messages.success(request, f"Events of {given['subject']} count for {given['customer']}, those of the past too.")
    return True


def _month(text: str | None, today: date) -> date:
    """The first day of the month that the address names, else of today's."""
    try:
        return datetime.strptime(text or "", "%Y-%m").date()  # noqa: DTZ007  a month has no zone
    except ValueError:
        return today.replace(day=1)


def _after(month: date) -> date:
    return (month + timedelta(days=32)).replace(day=1)
