"""Pages of payments, and the page of an invoice with what was paid: in place of the one that invoicing registers."""

from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.contrib.filters.admin import DropdownFilter, RangeDateFilter, RelatedDropdownFilter
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm

from billing.invoicing.admin import InvoiceAdmin as DocumentAdmin
from billing.invoicing.models import Invoice
from billing.invoicing.states import InvoiceState
from billing.payments import services
from billing.payments.balance.queries import balance_for
from billing.payments.balance.services import apply_balance
from billing.payments.errors import PaymentsError
from billing.payments.forms import PaymentForm
from billing.payments.models import Allocation, Payment
from billing.payments.queries import Standing, with_standing
from billing.payments.writeoffs.forms import WriteOffForm
from billing.payments.writeoffs.models import WriteOff
from billing.payments.writeoffs.services import request_write_off
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
    Standing.SETTLED.label: "success",
    Standing.UNCOLLECTIBLE.label: "danger",
}


class StandingFilter(DropdownFilter):
    """Issued invoices by what is paid and due."""

    title = "standing"
    parameter_name = "standing"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, Any]]:
        """Open, partly paid, overdue, paid, and what became of the others."""
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
    actions_detail = (*DocumentAdmin.actions_detail, "record_payment", "apply_balance", "write_off")
    has_payment_permission = granted("billing.add_payment")
    has_balance_permission = granted("billing.settle_balanceaccount")
    has_writeoff_permission = granted("billing.add_writeoff")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Invoice]:
        """With what is paid, open, and how it stands today."""
        return with_standing(super().get_queryset(request), clock.now().date())

    def buttons_of(self, invoice: Any) -> tuple[str, ...]:
        """A paid invoice takes no payment, and a credit note none at all; a balance is used where there is one."""
        buttons = super().buttons_of(invoice)
        if not invoice.open or invoice.open <= 0:
            return tuple(name for name in buttons if name != "record_payment")
        return (*buttons, *(["apply_balance"] if balance_for(invoice) else []), "write_off")

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
        payments += settled_rows(invoice)
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
                    keep_over=given["keep_over"],
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

    @action(description="Use balance", icon="account_balance_wallet", permissions=["balance"], dialog={
        "title": "Use the customer’s balance",
        "description": "Settles what is open from the balance, as far as it reaches. It cannot be taken back.",
        "form_class": BaseDialogForm,
        "form_submit_text": "Use balance",
    })  # fmt: skip
    def apply_balance(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """The balance before a payment."""
        invoice = self.get_object(request, unquote(object_id))
        self.carry_out(
            request, invoice, f"Balance used for {invoice}.",
            lambda: apply_balance(invoice_id=invoice.pk, user=request.user, now=clock.now()), refusals=PaymentsError,
        )  # fmt: skip
        return leave_dialog(change_url(invoice))

    @action(description="Write off", icon="money_off", permissions=["writeoff"], dialog={
        "title": "Ask for a write-off",
        "description": "What the customer will not pay. It counts once it is approved, by somebody else as a rule.",
        "form_class": WriteOffForm,
        "form_submit_text": "Ask for approval",
    })  # fmt: skip
    def write_off(self, request: HttpRequest, form: WriteOffForm, object_id: str) -> HttpResponse:
        """Asked for here, approved on the page of write-offs."""
        invoice, given = self.get_object(request, unquote(object_id)), form.cleaned_data
        self.carry_out(
            request, invoice, f"Write-off of {amount_text(given['amount'], invoice.currency)} asked for.",
            lambda: request_write_off(
                invoice_id=invoice.pk, four_eyes=settings.WRITE_OFF_FOUR_EYES, user=request.user, now=clock.now(),
                amount=given["amount"], reason=given["reason"],
            ),
            refusals=PaymentsError,
        )  # fmt: skip
        return leave_dialog(change_url(invoice))


def settled_rows(invoice: Invoice) -> list[dict[str, Any]]:
    """What settled an invoice without money: balances, and write-offs that stand or wait."""
    balances = invoice.balance_entries.select_related("account").order_by("pk")
    rows = [
        {
            "received_on": entry.day,
            "reference": "To the customer’s balance" if entry.amount > 0 else "From the customer’s balance",
            "amount": amount_text(-entry.amount, invoice.currency),
            "url": change_url(entry.account),
        }
        for entry in balances
    ]
    standing = (WriteOff.State.REQUESTED, WriteOff.State.BOOKED)
    return rows + [
        {
            "received_on": found.decided_on or found.requested_at.date(),
            "reference": f"{found.get_state_display()}: {found.reason}"
            if found.state == WriteOff.State.BOOKED
            else f"Write-off that waits for approval: {found.reason}",
            "amount": amount_text(found.amount, invoice.currency),
            "url": change_url(found),
        }
        for found in invoice.write_offs.filter(state__in=standing).order_by("pk")
    ]


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
