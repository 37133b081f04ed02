"""Pages of payments, and the page of an invoice with what was paid: in place of the one that invoicing registers."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.contrib.filters.admin import DropdownFilter, RangeDateFilter, RelatedDropdownFilter
from unfold.decorators import action, display

from billing.invoicing.admin import InvoiceAdmin as DocumentAdmin
from billing.invoicing.models import Invoice
from billing.invoicing.states import InvoiceState
from billing.payments import services
from billing.payments.errors import PaymentsError
from billing.payments.forms import PaymentForm
from billing.payments.models import Allocation, Payment
from billing.payments.queries import Standing, with_standing
from config import clock
from customers.backoffice import (
    RecordAdmin,
    RecordInline,
    amount_text,
    badge,
    change_url,
    granted,
    leave_dialog,
    link_to,
    money,
)

STANDING_BADGES = {
    Standing.OPEN.label: "info",
    Standing.PARTIALLY_PAID.label: "info",
    Standing.OVERDUE.label: "danger",
    Standing.PAID.label: "success",
    Standing.CREDIT.label: "warning",
}


class StandingFilter(DropdownFilter):
    """Issued invoices by what is paid and due."""

    title = "standing"
    parameter_name = "standing"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, Any]]:
        """Open, partly paid, overdue, paid, open credit."""
        return list(Standing.choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Those that stand so today."""
        value = self.value()
        return queryset.filter(standing=value) if value in Standing.values else queryset


class InvoiceAdmin(DocumentAdmin):
    """Invoices with what is open and overdue, and the button that records a payment."""

    list_display = (
        "name", "state_badge", "standing_badge", "customer_link", "contract_link", "total_money", "open_money",
        "issue_date", "due_date",
    )  # fmt: skip
    list_filter = (DocumentAdmin.list_filter[0], StandingFilter, *DocumentAdmin.list_filter[1:])
    actions_detail = (*DocumentAdmin.actions_detail, "record_payment")
    has_payment_permission = granted("billing.add_payment")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Invoice]:
        """With what is paid, open, and how it stands today."""
        return with_standing(super().get_queryset(request), clock.now().date())

    def buttons_of(self, invoice: Any) -> tuple[str, ...]:
        """A paid invoice takes no payment, and a credit note none at all."""
        buttons = super().buttons_of(invoice)
        return (
            buttons
            if invoice.open and invoice.open > 0
            else tuple(name for name in buttons if name != "record_payment")
        )

    def page_context(self, request: HttpRequest, invoice: Any) -> dict[str, Any]:
        """With standing and payments."""
        issued = invoice.state == InvoiceState.ISSUED
        rows = invoice.allocations.select_related("payment").order_by("payment__received_on", "id")
        payments = [
            {
                "received_on": row.payment.received_on,
                "reference": row.payment.reference,
                "amount": amount_text(row.amount, invoice.currency),
                "url": change_url(row.payment),
            }
            for row in rows
        ]
        page = super().page_context(request, invoice)
        return page | {
            "badges": [*page["badges"], *([self.standing_badge(invoice)] if issued else [])],
            "open": amount_text(invoice.open, invoice.currency) if issued else None,
            "payments": payments,
        }

    @display(description="Standing", ordering="standing")
    def standing_badge(self, invoice: Any) -> str | None:
        """Only an issued invoice can be paid or overdue."""
        return badge(Standing(invoice.standing).label, STANDING_BADGES) if invoice.standing else None

    @display(description="Open", ordering="open")
    def open_money(self, invoice: Any) -> str:
        """What the customer still owes."""
        return money(invoice.open, invoice.currency)

    @action(description="Record payment", icon="payments", permissions=["payment"], dialog={
        "title": "Record a payment",
        "description": "A payment is a fact: it cannot be edited afterwards.",
        "form_class": PaymentForm,
        "form_submit_text": "Record",
    })  # fmt: skip
    def record_payment(self, request: HttpRequest, form: PaymentForm, object_id: str) -> HttpResponse:
        """Money in, on this invoice."""
        invoice, given = self.get_object(request, unquote(object_id)), form.cleaned_data
        try:
            with transaction.atomic():
                payment = services.record_payment(
                    invoice_id=invoice.pk,
                    amount=given["amount"],
                    received_on=given["received_on"],
                    reference=given["reference"],
                    user=request.user,
                    now=clock.now(),
                )
        except PaymentsError as error:
            messages.error(request, str(error))
        else:
            paid = amount_text(payment.amount, payment.currency)
            self.log_change(request, invoice, f"Payment of {paid} recorded.")
            messages.success(request, f"Recorded {paid} for {invoice}.")
        return leave_dialog(change_url(invoice))


class AllocationInline(RecordInline):
    """Which invoices the payment settles."""

    model = Allocation
    fields = readonly_fields = ("invoice_link", "amount_money")
    verbose_name_plural = "allocated to"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Allocation]:
        """With what the rows print."""
        return super().get_queryset(request).select_related("invoice", "payment")

    @display(description="Invoice")
    def invoice_link(self, allocation: Allocation) -> str:
        """The invoice settled."""
        return link_to(allocation.invoice)

    @display(description="Amount")
    def amount_money(self, allocation: Allocation) -> str:
        """The part of the payment."""
        return money(allocation.amount, allocation.payment.currency)


@admin.register(Payment)
class PaymentAdmin(RecordAdmin):
    """Money in, as it arrived."""

    list_display = ("received_on", "customer_link", "amount_money", "reference", "entity", "recorded_by")
    list_filter = (("received_on", RangeDateFilter), ("entity", RelatedDropdownFilter), "currency")
    list_select_related = ("customer", "entity", "recorded_by")
    search_fields = ("reference", "customer__legal_name", "customer__external_id", "allocations__invoice__number")
    search_help_text = "Reference, customer, or invoice number"
    date_hierarchy = "received_on"
    empty_hint = "A payment is recorded on the page of an issued invoice."
    fields = (("customer_link", "entity"), ("amount_money", "received_on"), "reference", ("recorded_at", "recorded_by"))
    readonly_fields = ("customer_link", "amount_money")
    inlines = (AllocationInline,)

    @display(description="Customer", ordering="customer__legal_name")
    def customer_link(self, payment: Payment) -> str:
        """Who paid."""
        return link_to(payment.customer)

    @display(description="Amount", ordering="amount")
    def amount_money(self, payment: Payment) -> str:
        """What arrived."""
        return money(payment.amount, payment.currency)


admin.site.unregister(Invoice)
admin.site.register(Invoice, InvoiceAdmin)
