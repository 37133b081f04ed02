"""Pages of invoices. `billing.payments.admin` puts its own in place of the one here, with what was paid."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.urls import path
from django.utils.html import format_html
from unfold.contrib.filters.admin import (
    ChoicesDropdownFilter,
    DropdownFilter,
    RangeDateFilter,
    RelatedDropdownFilter,
)
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm

from billing.invoicing import services
from billing.invoicing.behind.csv_file import usage_file
from billing.invoicing.bulk import services as bulk
from billing.invoicing.bulk.states import Verb
from billing.invoicing.bulk_page import Step, confirm_and_run, report
from billing.invoicing.concessions.buttons import Crediting
from billing.invoicing.delivery import services as delivery
from billing.invoicing.delivery.forms import SendForm
from billing.invoicing.documents import document_of, preview_pdf, read_document
from billing.invoicing.errors import InvoicingError
from billing.invoicing.explaining.views import line_urls
from billing.invoicing.forms import SendBackForm
from billing.invoicing.invoice_page import page_of
from billing.invoicing.late.forms import EarlyForm
from billing.invoicing.late.page import late_page
from billing.invoicing.late.queries import Waits, waiting
from billing.invoicing.manual.page import manual_card
from billing.invoicing.manual.views import manual_urls
from billing.invoicing.models import Invoice
from billing.invoicing.queries import found_by
from billing.invoicing.results import BulkResult
from billing.invoicing.review.forms import OverrideForm
from billing.invoicing.states import NUMBERED, InvoiceState
from billing.invoicing.usage_cards import claim_card, event_card
from billing.invoicing.voiding.buttons import Voiding
from billing.invoicing.voiding.page import voided_on
from billing.metering.explorer import parts
from config import clock
from customers.backoffice import RecordAdmin, badge, change_url, granted, leave_dialog, link_to, money
from customers.models import Contract

STATE_BADGES = {
    InvoiceState.DRAFT.label: "warning",
    InvoiceState.APPROVED.label: "info",
    InvoiceState.ISSUED.label: "success",
    InvoiceState.SKIPPED.label: "",
    InvoiceState.VOID.label: "danger",
}
# Which buttons a state offers, the most likely next step first.
BUTTONS: dict[str, tuple[str, ...]] = {
    InvoiceState.DRAFT: ("approve", "approve_early", "override", "take_back_credits", "pdf", "usage"),
    InvoiceState.APPROVED: ("issue", "send_back", "pdf", "usage"),
    InvoiceState.ISSUED: ("send", "record_payment", "credit", "void", "pdf", "usage"),
    InvoiceState.VOID: ("bill_after_all", "pdf", "usage"),
    InvoiceState.SKIPPED: (),
}


def _dialog(title: str, text: str, submit: str, form: type[BaseDialogForm] = BaseDialogForm) -> dict[str, Any]:
    return {"title": title, "description": text, "form_class": form, "form_submit_text": submit}


class CurrencyFilter(DropdownFilter):
    """Invoices in one of the currencies in which contracts are agreed: asked of contracts, which are few."""

    title = "currency"
    parameter_name = "currency"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """In the order of their codes."""
        codes = Contract.objects.order_by("currency").values_list("currency", flat=True).distinct()
        return [(code, code) for code in codes]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Invoice]) -> QuerySet[Invoice]:
        """Those in the chosen one."""
        return queryset.filter(currency=self.value()) if self.value() else queryset


class InvoiceAdmin(Crediting, Voiding, RecordAdmin):
    """Invoices, read-only: they are moved by buttons, one by one or many at once."""

    list_display = (
        "name", "state_badge", "customer_link", "contract_link", "total_money", "issue_date", "due_date",
    )  # fmt: skip
    list_filter = (
        ("state", ChoicesDropdownFilter),
        ("kind", ChoicesDropdownFilter),
        ("entity", RelatedDropdownFilter),
        CurrencyFilter,
        ("issue_date", RangeDateFilter),
    )
    list_select_related = ("customer", "contract", "entity")
    search_fields = ("number", "customer__legal_name", "customer__external_id", "contract__number")
    search_help_text = "Invoice number or its beginning, customer, your own id of the customer, or contract number"
    show_full_result_count = False
    empty_hint = "Drafts come from a billing run over active contracts."
    actions = ("approve_selected", "approve_and_issue_selected", "issue_selected", "send_selected")
    actions_detail = (
        "approve", "approve_early", "override", "issue", "send", "send_back", "credit", "take_back_credits",
        "void", "bill_after_all", "pdf", "usage",
    )  # fmt: skip
    change_form_template = "billing/admin/invoice.html"
    has_approve_permission = granted("billing.approve_invoice")
    has_issue_permission = granted("billing.issue_invoice")
    has_early_permission = granted("billing.approve_early")

    def has_override_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Superusers alone."""
        return bool(request.user.is_superuser)

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """Only legal next steps."""
        invoice = self.get_object(request, unquote(str(object_id)))
        offered = self.buttons_of(invoice) if invoice else ()
        steps = {step.path: step for step in super().get_actions_detail(request, object_id)}
        return [steps[name] for name in offered if name in steps]

    def buttons_of(self, invoice: Any) -> tuple[str, ...]:
        """The buttons that the invoice's state offers; one that waits is approved early or not at all."""
        waits = self._waits(invoice)
        hidden = {"approve" if waits else "approve_early"}
        hidden |= set() if invoice.entity.four_eyes else {"override"}
        shown = [name for name in BUTTONS[invoice.state] if name not in hidden]
        return tuple(name for name in shown if self.offers(invoice, name) and self.may_void(invoice, name))

    def _waits(self, invoice: Any) -> Waits | None:
        """What a draft waits for, asked for once a page."""
        if not hasattr(invoice, "waits"):
            invoice.waits = waiting([invoice], clock.now()).get(invoice.pk)
        found: Waits | None = invoice.waits
        return found

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """With what the drafts of the page wait for."""
        changes = super().get_changelist_instance(request)
        found = waiting(changes.result_list, clock.now())
        for invoice in changes.result_list:
            invoice.waits = found.get(invoice.pk)
        return changes

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Invoice], search_term: str
    ) -> tuple[QuerySet[Invoice], bool]:
        """By what has an index, however many invoices there are: see found_by."""
        term = search_term.strip()
        return (queryset.filter(found_by(term)) if term else queryset), False

    def get_urls(self) -> list[Any]:
        """With the pages of late usage, of what is added by hand, and of single lines."""
        page = path("late/", self.admin_site.admin_view(late_page), {"model_admin": self}, name="billing_late_usage")
        return [page, *manual_urls(self), *line_urls(self), *super().get_urls()]

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """The page with its lines and facts in place of a form."""
        extra = dict(extra_context or {})
        invoice = self.get_object(request, unquote(object_id)) if object_id else None
        if invoice and self.has_view_permission(request, invoice):
            extra |= self.page_context(request, invoice)
        return super().changeform_view(request, object_id, form_url, extra)

    def page_context(self, request: HttpRequest, invoice: Any) -> dict[str, Any]:
        """What the page shows besides the frame."""
        own = {"badges": [self.state_badge(invoice)], "waits": self._waits(invoice), "voided": voided_on(invoice)}
        return page_of(invoice) | own | {"manual": manual_card(request, invoice)}

    @display(description="Invoice", ordering="id")
    def name(self, invoice: Invoice) -> str:
        """Its number, or what it is as long as it has none."""
        return str(invoice).capitalize() if invoice.number is None else invoice.number

    @display(description="State", ordering="state")
    def state_badge(self, invoice: Invoice) -> str:
        """Draft, approved, issued or not sent; and what a draft waits for."""
        waits = self._waits(invoice)
        state = badge(invoice.get_state_display(), STATE_BADGES)
        return format_html("{} {}", state, badge(waits.short, {})) if waits else state

    @display(description="Customer", ordering="customer__legal_name")
    def customer_link(self, invoice: Invoice) -> str:
        """Who is billed."""
        return link_to(invoice.customer)

    @display(description="Contract", ordering="contract__number")
    def contract_link(self, invoice: Invoice) -> str:
        """Under which terms, where they are those of one contract."""
        return link_to(invoice.contract) if invoice.contract else "Several"

    @display(description="Total", ordering="total")
    def total_money(self, invoice: Invoice) -> str:
        """With tax."""
        return money(invoice.total, invoice.currency)

    def steps(self, request: HttpRequest, send_at: datetime | None = None) -> dict[str, Step]:
        """The moves that one or many invoices can make."""
        who, now = request.user, clock.now()

        def run(*verbs: Verb) -> Callable[[Sequence[int]], BulkResult]:
            return lambda ids: bulk.move(invoice_ids=ids, verbs=verbs, user=who, now=now, send_at=send_at)

        return {
            "approve": Step(
                "approve_selected", "Approve", "approved", InvoiceState.DRAFT,
                "Approved invoices are frozen and can be issued, or sent back with a reason.",
                (Verb.APPROVE,), run(Verb.APPROVE),
            ),
            "approve_issue": Step(
                "approve_and_issue_selected", "Approve and issue", "approved and issued", InvoiceState.DRAFT,
                "They get their number and date. This cannot be taken back.",
                (Verb.APPROVE, Verb.ISSUE), run(Verb.APPROVE, Verb.ISSUE),
            ),
            "issue": Step(
                "issue_selected", "Issue", "issued", InvoiceState.APPROVED,
                "Issued invoices get their number and date. This cannot be taken back.",
                (Verb.ISSUE,), run(Verb.ISSUE),
            ),
            "send": Step(
                "send_selected", "Send", "sent", InvoiceState.ISSUED,
                "The document goes by e-mail to the customer's billing addresses.",
                (Verb.SEND,), lambda ids: delivery.send_invoices(invoice_ids=ids, user=who, now=now),
            ),
            "queue": Step(
                "send_selected", "Send", "queued to be sent:", InvoiceState.ISSUED,
                "The documents go by e-mail to the customers' billing addresses, one after the other.",
                (Verb.SEND,), run(Verb.SEND),
            ),
        }  # fmt: skip

    @action(description="Approve…", permissions=["approve"])
    def approve_selected(self, request: HttpRequest, queryset: QuerySet[Invoice]) -> HttpResponse | None:
        """Approve many, after a page that says how much."""
        return confirm_and_run(request, self, queryset, self.steps(request)["approve"])

    @action(description="Approve and issue…", permissions=["approve", "issue"])
    def approve_and_issue_selected(self, request: HttpRequest, queryset: QuerySet[Invoice]) -> HttpResponse | None:
        """Both at once."""
        return confirm_and_run(request, self, queryset, self.steps(request)["approve_issue"])

    @action(description="Issue…", permissions=["issue"])
    def issue_selected(self, request: HttpRequest, queryset: QuerySet[Invoice]) -> HttpResponse | None:
        """Issue many."""
        return confirm_and_run(request, self, queryset, self.steps(request)["issue"])

    @action(description="Send…", permissions=["issue"])
    def send_selected(self, request: HttpRequest, queryset: QuerySet[Invoice]) -> HttpResponse | None:
        """Send many."""
        return confirm_and_run(request, self, queryset, self.steps(request)["queue"])

    def _one(self, request: HttpRequest, step: str, object_id: str) -> HttpResponse:
        """Make a move of one invoice from its page."""
        invoice = self.get_object(request, unquote(object_id))
        move = self.steps(request)[step]
        report(request, self, move, move.run([invoice.pk]))
        return leave_dialog(change_url(invoice))

    @action(description="Approve", icon="check", variant=ActionVariant.PRIMARY, permissions=["approve"], dialog=_dialog(
        "Approve this invoice?", "It is frozen, counts as billed, and can be issued or sent back.", "Approve",
    ))  # fmt: skip
    def approve(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Draft → approved."""
        return self._one(request, "approve", object_id)

    @action(description="Approve early", icon="check", permissions=["early"], dialog=_dialog(
        "Approve this invoice early?", "It is to wait, for late usage or for the next invoice. What comes later is "
        "billed as a difference.", "Approve early", EarlyForm,
    ))  # fmt: skip
    def approve_early(self, request: HttpRequest, form: EarlyForm, object_id: str) -> HttpResponse:
        """Draft → approved, though it was to wait."""
        invoice, reason = self.get_object(request, unquote(object_id)), form.cleaned_data["reason"]
        result = services.approve(invoice_ids=[invoice.pk], user=request.user, now=clock.now(), early=reason)
        report(request, self, self.steps(request)["approve"], result)
        if result.done:
            self.log_change(request, invoice, f"Approved early: {reason}")
        return leave_dialog(change_url(invoice))

    @action(description="Approve as override", icon="gavel", permissions=["override"], dialog=_dialog(
        "Approve what you prepared?", "Its seller wants four eyes. Approving it alone is recorded as an override, with "
        "your name and the reason.", "Approve as override", OverrideForm,
    ))  # fmt: skip
    def override(self, request: HttpRequest, form: OverrideForm, object_id: str) -> HttpResponse:
        """Draft → approved by a superuser who prepared it."""
        invoice, reason = self.get_object(request, unquote(object_id)), form.cleaned_data["reason"]
        result = services.approve(invoice_ids=[invoice.pk], user=request.user, now=clock.now(), override=reason)
        report(request, self, self.steps(request)["approve"], result)
        if result.done:
            self.log_change(request, invoice, f"Approved as an override: {reason}")
        return leave_dialog(change_url(invoice))

    @action(description="Issue", icon="verified", variant=ActionVariant.PRIMARY, permissions=["issue"], dialog=_dialog(
        "Issue this invoice?", "It gets its number and date and goes to the books. This cannot be taken back.", "Issue",
    ))  # fmt: skip
    def issue(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Approved → issued."""
        return self._one(request, "issue", object_id)

    @action(description="Send", icon="mail", permissions=["issue"], dialog=_dialog(
        "Send this invoice?", "The document goes by e-mail to the customer's billing addresses.", "Send", SendForm,
    ))  # fmt: skip
    def send(self, request: HttpRequest, form: SendForm, object_id: str) -> HttpResponse:
        """Mail the document, at once or on a day."""
        if form.cleaned_data["day"] is None:
            return self._one(request, "send", object_id)
        invoice = self.get_object(request, unquote(object_id))
        later = form.on_day(invoice.entity.timezone)
        report(
            request, self, self.steps(request, later)["queue"], self.steps(request, later)["queue"].run([invoice.pk])
        )
        return leave_dialog(change_url(invoice))

    @action(description="Send back", icon="undo", permissions=["approve"], dialog=_dialog(
        "Send back to draft?", "It no longer counts as billed, and the next run brings it up to date.", "Send back",
        SendBackForm,
    ))  # fmt: skip
    def send_back(self, request: HttpRequest, form: SendBackForm, object_id: str) -> HttpResponse:
        """Approved → draft, with a reason."""
        invoice, reason = self.get_object(request, unquote(object_id)), form.cleaned_data["reason"]
        try:
            services.send_back(invoice_id=invoice.pk, user=request.user, reason=reason, now=clock.now())
        except InvoicingError as error:
            messages.error(request, str(error))
        else:
            self.log_change(request, invoice, f"Sent back to draft: {reason}")
            messages.success(request, "The invoice is a draft again.")
        return leave_dialog(change_url(invoice))

    @action(description="PDF", icon="picture_as_pdf", permissions=["view"], attrs={"target": "_blank"})
    def pdf(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The stored document of an issued invoice; of any other a preview that says so."""
        invoice = self.get_object(request, unquote(object_id))
        try:
            if invoice.state in NUMBERED:
                content = read_document(document_of(invoice=invoice, now=clock.now()))
            else:
                content = preview_pdf(invoice)
        except InvoicingError as error:
            messages.error(request, str(error))
            return HttpResponseRedirect(change_url(invoice))
        name = f"{invoice.number or f'preview-{invoice.pk}'}.pdf"
        disposition = {"Content-Disposition": f'inline; filename="{name}"'}
        return HttpResponse(content, content_type="application/pdf", headers=disposition)

    @action(description="Usage as CSV", icon="download", permissions=["view"])
    def usage(self, request: HttpRequest, object_id: str) -> StreamingHttpResponse:
        """The usage behind the invoice's lines, by day and dimension, streamed."""
        return usage_file(self.get_object(request, unquote(object_id)))


admin.site.register(Invoice, InvoiceAdmin)
parts.of_event.append(event_card)
parts.of_claim.append(claim_card)
