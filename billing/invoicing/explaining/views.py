"""The page of a line, below that of its invoice, and the file of the events behind it."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from billing.invoicing.explaining.events import events_file, sample_of
from billing.invoicing.explaining.page import line_url, page_of
from billing.invoicing.explaining.queries import WITH, explanation
from billing.invoicing.models import InvoiceLine
from billing.metering.explorer.events_page import SEES_EVENTS
from billing.metering.months.errors import MonthDetached


def line_urls(model_admin: Any) -> list[URLPattern]:
    """The addresses of the pages, in the admin of invoices."""
    wrap, own = model_admin.admin_site.admin_view, {"model_admin": model_admin}
    return [
        path("<int:pk>/lines/<int:position>/", wrap(line_view), own, name="billing_invoice_line"),
        path("<int:pk>/lines/<int:position>/events.csv", wrap(file_view), own, name="billing_invoice_line_events"),
    ]


def line_view(request: HttpRequest, pk: int, position: int, model_admin: Any) -> HttpResponseBase:
    """How a line came about."""
    line = _line(request, pk, position, "billing.view_invoice")
    told = explanation(line)
    sees_events = request.user.has_perms(SEES_EVENTS)
    last = InvoiceLine.objects.filter(invoice=pk).order_by("-position").values_list("position", flat=True)[0]
    context = {
        **model_admin.admin_site.each_context(request), "opts": model_admin.opts, "media": model_admin.media,
        "original": line.invoice, "title": f"Line {line.position} of {line.invoice}", "last": last,
        "sees_events": sees_events, **page_of(told, sample_of(told) if sees_events else []),
    }  # fmt: skip
    return TemplateResponse(request, "billing/admin/line.html", context)


def file_view(request: HttpRequest, pk: int, position: int, model_admin: Any) -> HttpResponseBase:
    """All events that the line counts, streamed; back to the page with the reason where they lie in the archive."""
    line = _line(request, pk, position, "billing.view_invoice", *SEES_EVENTS)
    try:
        return events_file(explanation(line), internal=True)
    except MonthDetached as error:
        messages.error(request, str(error))
        return HttpResponseRedirect(line_url(line))


def _line(request: HttpRequest, pk: int, position: int, *permissions: str) -> InvoiceLine:
    """The line, for those who may see it."""
    if not request.user.has_perms(permissions):
        raise PermissionDenied
    lines = InvoiceLine.objects.select_related(*WITH, "invoice__customer", "stream__contract__customer")
    return get_object_or_404(lines, invoice=pk, position=position)
