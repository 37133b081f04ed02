"""A customer's usage in a month, by meter: where the explorer is entered from the customer's page."""

from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse

from billing.metering import queries
from billing.metering.asking import Quantity
from billing.metering.explorer.explorer_page import SEES_USAGE, address
from billing.metering.explorer.presets import period_of
from billing.metering.models import Meter
from billing.metering.months.errors import MonthDetached
from billing.periods import Period, local_date
from billing.pricing.words import plural
from config import clock
from customers.backoffice import change_url, quantity_text
from customers.models import Customer


def customer_usage(request: HttpRequest, customer_id: int, model_admin: Any) -> HttpResponse:
    """A customer's month: each meter's total, with the way into the explorer."""
    if not request.user.has_perms(SEES_USAGE):
        raise PermissionDenied
    customer = get_object_or_404(Customer, pk=customer_id)
    month = _month(request.GET.get("month"), local_date(clock.now(), customer.timezone))
    after = (month + timedelta(days=32)).replace(day=1)
    period = period_of(month, after - timedelta(days=1), customer.timezone)
    meters = list(Meter.objects.current())
    found, problem = _quantities(customer, meters, period)
    claims = queries.claims_of([customer.pk])[customer.pk]
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
        "has_claims": any(claimed.intersect(period) for _, claimed in claims),
        "subjects_url": reverse("admin:billing_usage_events") + f"?customers={customer.pk}",
        "may_see_events": request.user.has_perm("billing.view_event"),
        "problem": problem,
        "totals": []
        if problem
        else [
            _total(meter, found.get(meter.pk, Quantity()))
            | {"url": address(meter, customer.pk, period=period, timezone=customer.timezone)}
            for meter in meters
        ],
    }
    return TemplateResponse(request, "billing/admin/usage.html", context)


def _quantities(customer: Customer, meters: list[Meter], period: Period) -> tuple[dict[int, Quantity], str]:
    """The customer's quantity of each meter, or why it cannot be told: the month lies in the archive."""
    try:
        rows = queries.quantities(
            customer_ids=[customer.pk], meters=meters, period=period, timezone=customer.timezone
        )  # fmt: skip
    except MonthDetached as error:
        return {}, str(error)
    return {row.meter_id: row.quantity for row in rows}, ""


def _total(meter: Meter, quantity: Quantity) -> dict[str, Any]:
    """One meter's month as texts."""
    return {
        "meter": meter,
        "total": quantity_text(quantity.value),
        "unit": plural(meter.unit, Fraction(quantity.value)),
        "events": quantity_text(quantity.events),
        "invalid": quantity_text(quantity.invalid) if quantity.invalid else "",
    }


def _month(text: str | None, today: date) -> date:
    """The first day of the month that the address names, else of today's."""
    try:
        return datetime.strptime(text or "", "%Y-%m").date()  # noqa: DTZ007  a month has no zone
    except ValueError:
        return today.replace(day=1)
