"""Pages on which finance adds to a draft by hand, below the page of the invoice."""

from functools import partial
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from billing.catalog.errors import CatalogError
from billing.invoicing.errors import InvoicingError
from billing.invoicing.manual import forms
from billing.invoicing.manual.models import InvoiceNote, ManualLine
from billing.invoicing.manual.page import may
from billing.invoicing.models import Invoice
from config import clock
from customers.backoffice import change_url, list_url

ADDING: dict[str, type[forms.ManualForm]] = {
    "line": forms.LineForm, "discount": forms.DiscountForm, "note": forms.NoteForm,
}  # fmt: skip


def manual_urls(model_admin: Any) -> list[URLPattern]:
    """The addresses of the pages, in the admin of invoices."""
    wrap, own = model_admin.admin_site.admin_view, {"model_admin": model_admin}
    return [
        path("<int:pk>/manual/<slug:what>/", wrap(add_view), own, name="billing_manual_add"),
        path("<int:pk>/manual/line/<int:fact>/change/", wrap(change_view), own, name="billing_manual_change"),
        path("<int:pk>/manual/<slug:what>/<int:fact>/take-back/", wrap(back_view), own, name="billing_manual_back"),
    ]


def add_view(request: HttpRequest, pk: int, what: str, model_admin: Any) -> HttpResponse:
    """Add a line, a discount or a note."""
    if what not in ADDING:
        raise Http404(f"There is no “{what}” to add.")
    invoice = _invoice(request, pk)
    return _page(request, model_admin, invoice, ADDING[what](request.POST or None, invoice=invoice))


def change_view(request: HttpRequest, pk: int, fact: int, model_admin: Any) -> HttpResponse:
    """Put another version in the place of a line."""
    invoice, line = _invoice(request, pk), _line(fact)
    return _page(request, model_admin, invoice, forms.LineForm(request.POST or None, invoice=invoice, old=line))


def back_view(request: HttpRequest, pk: int, what: str, fact: int, model_admin: Any) -> HttpResponse:
    """Take a line, a discount or a note back."""
    invoice = _invoice(request, pk)
    form = forms.TakeBackForm(request.POST or None, invoice=invoice)
    form.what = get_object_or_404(InvoiceNote, pk=fact, taken_back_at=None) if what == "note" else _line(fact)
    form.title = f"Take back “{str(form.what)[:60]}”"
    return _page(request, model_admin, invoice, form)


def _invoice(request: HttpRequest, pk: int) -> Invoice:
    """The invoice, for those who may add to it."""
    if not may(request):
        raise PermissionDenied
    return get_object_or_404(Invoice.objects.select_related("customer"), pk=pk)


def _line(pk: int) -> ManualLine:
    return get_object_or_404(ManualLine.objects.select_related("contract", "of_stream"), pk=pk, superseded_at=None)


def _page(request: HttpRequest, model_admin: Any, invoice: Invoice, form: forms.ManualForm) -> HttpResponse:
    """The form; once it is carried out, the invoice, or the list where nothing is left of the draft."""
    if request.method == "POST" and form.is_valid():
        verb = partial(form.carry_out, request.user, clock.now())
        refusals: Any = (InvoicingError, CatalogError)
        if model_admin.carry_out(request, invoice, f"{form.done}.", verb, refusals=refusals, form=form):
            there = Invoice.objects.filter(pk=invoice.pk).exists()
            return HttpResponseRedirect(change_url(invoice) if there else list_url(Invoice))
    context = {
        **model_admin.admin_site.each_context(request), "opts": model_admin.opts, "media": model_admin.media,
        "original": invoice, "invoice": invoice, "form": form, "title": form.title, "back": change_url(invoice),
    }  # fmt: skip
    return TemplateResponse(request, "billing/admin/manual_form.html", context)
