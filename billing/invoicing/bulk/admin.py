"""The page of a bulk action: how far it is, and what became of each invoice."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from billing.invoicing.bulk import services
from billing.invoicing.bulk.models import BulkAction, BulkItem
from billing.invoicing.bulk.queries import in_words, progress_of
from billing.invoicing.bulk.states import WORKING, BulkState, ItemState
from billing.invoicing.errors import InvoicingError
from config import clock
from customers.backoffice import RecordAdmin, amount_text, badge, change_url, granted, link_to, quantity_text

SHOWN: Final = 50
STATE_BADGES: Final = {
    BulkState.QUEUED.label: "",
    BulkState.RUNNING.label: "info",
    BulkState.DONE.label: "success",
    BulkState.CANCELLED.label: "",
}
ITEM_BADGES: Final = {ItemState.WAITING.label: "", ItemState.DONE.label: "success", ItemState.SKIPPED.label: "warning"}


@admin.register(BulkAction)
class BulkActionAdmin(RecordAdmin):
    """Bulk actions, the newest first."""

    list_display = ("what", "state_badge", "requested_at", "requested_by", "moved", "skipped")
    list_filter = (("state", ChoicesDropdownFilter),)
    list_select_related = ("requested_by",)
    empty_hint = "Choose invoices in the list and approve, issue or send them: many at once are followed here."
    has_cancel_permission = granted("billing.approve_invoice")

    def get_queryset(self, request: HttpRequest) -> QuerySet[BulkAction]:
        """With their invoices counted by state."""
        counts = {f"n_{state}": Count("items", filter=Q(items__state=state)) for state in ItemState.values}
        return super().get_queryset(request).annotate(**counts)

    def get_urls(self) -> list[URLPattern]:
        """Beside the usual pages: the button that cancels."""
        view = self.admin_site.admin_view(self.cancel_view)
        return [path("<int:pk>/cancel/", view, name="billing_bulkaction_cancel"), *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """How far it is; the page asks again every second while it works."""
        found = self._found(request, object_id)
        common = {**self.admin_site.each_context(request), "opts": self.opts, "media": self.media}
        own = {"title": in_words(found), "original": found, "may": self.has_cancel_permission(request)}
        return TemplateResponse(request, "billing/admin/bulk_action.html", common | _context(found, request.GET) | own)

    def cancel_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Let what waits wait no longer."""
        found = self._found(request, str(pk))
        if request.method != "POST" or not self.has_cancel_permission(request):
            raise PermissionDenied
        try:
            services.cancel(action_id=found.pk, user=request.user, now=clock.now())
        except InvoicingError as error:
            messages.error(request, str(error))
        else:
            messages.success(request, "Cancelled: what was done so far stands.")
        return HttpResponseRedirect(change_url(found))

    def _found(self, request: HttpRequest, object_id: str) -> BulkAction:
        found = get_object_or_404(BulkAction.objects.select_related("requested_by"), pk=object_id)
        if not self.has_view_permission(request, found):
            raise PermissionDenied
        return found

    @display(description="Action", ordering="id")
    def what(self, action: BulkAction) -> str:
        """Its moves."""
        return in_words(action)

    @display(description="State", ordering="state")
    def state_badge(self, action: BulkAction) -> str:
        """How it stands."""
        return badge(action.get_state_display(), STATE_BADGES)

    @display(description="Done")
    def moved(self, action: Any) -> str:
        """How many invoices."""
        return quantity_text(action.n_done)

    @display(description="Skipped")
    def skipped(self, action: Any) -> str:
        """How many, each with a reason."""
        return quantity_text(action.n_skipped)


def _context(action: BulkAction, asked: Mapping[str, str]) -> dict[str, Any]:
    counts = progress_of(action)
    total, over = sum(counts.values()), sum(counts.values()) - counts[ItemState.WAITING]
    show = asked.get("show", ItemState.SKIPPED if counts[ItemState.SKIPPED] else "")
    show = show if show in ItemState.values else ""
    labels = [("", "All", total), *((each.value, str(each.label), counts[each]) for each in ItemState)]
    items = action.items.select_related("invoice__customer").order_by("id")
    page = Paginator(items.filter(state=show) if show else items, SHOWN).get_page(asked.get("page"))
    return {
        "action": action, "state": badge(action.get_state_display(), STATE_BADGES),
        "working": action.state in WORKING, "percent": 100 * over // total if total else 100,
        "over": quantity_text(over), "total": quantity_text(total), "page": page, "query": urlencode({"show": show}),
        "tabs": [
            {"name": name, "count": quantity_text(count), "current": key == show, "url": "?" + urlencode({"show": key})}
            for key, name, count in labels
        ],
        "rows": [_row(item) for item in page],
    }  # fmt: skip


def _row(item: BulkItem) -> dict[str, Any]:
    invoice = item.invoice
    return {
        "invoice": link_to(invoice) if invoice else "gone",
        "customer": link_to(invoice.customer) if invoice else "",
        "total": amount_text(item.total, invoice.currency) if invoice else "",
        "state": badge(item.get_state_display(), ITEM_BADGES), "reason": item.reason,
    }  # fmt: skip
