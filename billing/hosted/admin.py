"""Disputes, and the links to invoices that customers have."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path
from django.utils.html import format_html
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action, display
from unfold.enums import ActionVariant

from billing.hosted import services
from billing.hosted.errors import HostedError
from billing.hosted.forms import AnswerForm, SettleForm
from billing.hosted.models import Dispute, HostedLink
from billing.hosted.states import DisputeState
from billing.invoicing.explaining.page import line_url
from billing.invoicing.models import Invoice
from config import clock
from customers.backoffice import RecordAdmin, badge, change_url, granted, leave_dialog, link_to

BADGES = {
    DisputeState.OPEN.label: "warning", DisputeState.ANSWERED.label: "info", DisputeState.SETTLED.label: "success",
}  # fmt: skip
OFFERED: dict[str, tuple[str, ...]] = {
    DisputeState.OPEN: ("answer", "settle"), DisputeState.ANSWERED: ("settle",), DisputeState.SETTLED: (),
}  # fmt: skip


@admin.register(Dispute)
class DisputeAdmin(RecordAdmin):
    """What customers ask about lines, the newest first."""

    list_display = ("question_start", "line_link", "customer", "state_badge", "name", "asked_at")
    list_filter = (("state", ChoicesDropdownFilter),)
    list_select_related = ("line__invoice__customer",)
    search_fields = ("line__invoice__number", "line__invoice__customer__legal_name", "question", "name", "email")
    search_help_text = "Invoice number, customer, or words of the question"
    empty_hint = "Customers ask about a line on the page that their link opens."
    fields = (
        ("line_link", "customer", "state_badge"), "question", ("name", "email", "asked_at"),
        "answer", ("answered_by", "answered_at"), "outcome", ("settled_by", "settled_at"),
    )  # fmt: skip
    readonly_fields = ("line_link", "customer", "state_badge")
    actions_detail = ("answer", "settle")
    has_answer_permission = granted("billing.answer_dispute")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Dispute]:
        """With the line and its customer."""
        return super().get_queryset(request).select_related("line__invoice__customer")

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """Only legal next steps."""
        found = self.get_object(request, unquote(str(object_id)))
        offered = OFFERED.get(found.state, ()) if found else ()
        return [step for step in super().get_actions_detail(request, object_id) if step.path in offered]

    @display(description="Question")
    def question_start(self, found: Dispute) -> str:
        """Its first words."""
        return found.question if len(found.question) <= 80 else f"{found.question[:79]}…"

    @display(description="Line")
    def line_link(self, found: Dispute) -> str:
        """What it is about: the page of the line explains it."""
        text = f"{found.line.invoice}, line {found.line.position}"
        return format_html('<a class="mb-link" href="{}">{}</a>', line_url(found.line), text)

    @display(description="Customer", ordering="line__invoice__customer__legal_name")
    def customer(self, found: Dispute) -> str:
        """Who asks."""
        return link_to(found.line.invoice.customer)

    @display(description="State", ordering="state")
    def state_badge(self, found: Dispute) -> str:
        """Open, answered, settled."""
        return badge(found.get_state_display(), BADGES)

    @action(description="Answer", icon="reply", variant=ActionVariant.PRIMARY, permissions=["answer"], dialog={
        "title": "Answer the question", "form_class": AnswerForm, "form_submit_text": "Answer",
        "description": "Answered once: correct the invoice from its own page where the customer is right.",
    })  # fmt: skip
    def answer(self, request: HttpRequest, form: AnswerForm, object_id: str) -> HttpResponse:
        """Tell the customer."""
        text = form.cleaned_data["text"]
        return self._do(request, object_id, "Answered.", lambda pk: services.answer(
            dispute_id=pk, text=text, user=request.user, now=clock.now(),
        ))  # fmt: skip

    @action(description="Settle", icon="check", permissions=["answer"], dialog={
        "title": "Settle the question", "form_class": SettleForm, "form_submit_text": "Settle",
        "description": "Nothing is left to do about it.",
    })  # fmt: skip
    def settle(self, request: HttpRequest, form: SettleForm, object_id: str) -> HttpResponse:
        """Close it."""
        text = form.cleaned_data["text"]
        return self._do(request, object_id, "Settled.", lambda pk: services.settle(
            dispute_id=pk, outcome=text, user=request.user, now=clock.now(),
        ))  # fmt: skip

    def _do(self, request: HttpRequest, object_id: str, done: str, verb: Callable[[int], Any]) -> HttpResponse:
        found = self.get_object(request, unquote(object_id))
        self.carry_out(request, found, done, lambda: verb(found.pk), refusals=HostedError)
        return leave_dialog(change_url(found))


@admin.register(HostedLink)
class HostedLinkAdmin(RecordAdmin):
    """Who can open which invoice until when. Links are made and revoked on the page of the invoice."""

    list_display = (
        "invoice_link", "customer", "created_at", "created_by", "expires_at", "revoked_at", "views", "seen_at",
    )  # fmt: skip
    list_select_related = ("invoice__customer", "created_by")
    search_fields = ("invoice__number", "invoice__customer__legal_name")
    search_help_text = "Invoice number, or customer"
    empty_hint = "A link is made on the page of an issued invoice, and by each e-mail that names it."
    fields = (
        ("invoice_link", "customer"), ("created_at", "created_by"), "expires_at", ("revoked_at", "revoked_by"),
        ("views", "seen_at"),
    )  # fmt: skip
    readonly_fields = ("invoice_link", "customer")
    has_share_permission = granted("billing.issue_invoice")

    def get_urls(self) -> list[URLPattern]:
        """Beside the usual pages: what the buttons on an invoice do."""
        wrap = self.admin_site.admin_view
        return [
            path("make/<int:invoice_id>/", wrap(self.make_view), name="billing_hostedlink_make"),
            path("<int:pk>/revoke/", wrap(self.revoke_view), name="billing_hostedlink_revoke"),
            *super().get_urls(),
        ]

    def make_view(self, request: HttpRequest, invoice_id: int) -> HttpResponse:
        """A new link to an invoice."""
        invoice = self._asked(request, Invoice, invoice_id)
        try:
            made = services.make_link(invoice=invoice, user=request.user, now=clock.now())
        except HostedError as error:
            messages.error(request, str(error))
        else:
            self.log_addition(request, made, "Made.")
            messages.success(request, f"The link opens {invoice} until {made.expires_at:%Y-%m-%d}. Copy it below.")
        return HttpResponseRedirect(change_url(invoice))

    def revoke_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The link opens nothing any more."""
        link = self._asked(request, HostedLink, pk)
        services.revoke(link_id=link.pk, user=request.user, now=clock.now())
        self.log_change(request, link, "Revoked.")
        messages.success(request, "Revoked: the link opens nothing any more.")
        return HttpResponseRedirect(change_url(link.invoice))

    def _asked(self, request: HttpRequest, model: type[Any], pk: int) -> Any:
        if request.method != "POST" or not self.has_share_permission(request):
            raise PermissionDenied
        return get_object_or_404(model, pk=pk)

    @display(description="Invoice", ordering="invoice__number")
    def invoice_link(self, link: HostedLink) -> str:
        """What it opens."""
        return link_to(link.invoice)

    @display(description="Customer", ordering="invoice__customer__legal_name")
    def customer(self, link: HostedLink) -> str:
        """Whose it is."""
        return link_to(link.invoice.customer)
