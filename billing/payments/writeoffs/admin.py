"""Write-offs: what waits for approval, what was booked, what was reversed."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm

from billing.payments.errors import PaymentsError
from billing.payments.writeoffs import services
from billing.payments.writeoffs.forms import ReverseForm
from billing.payments.writeoffs.models import WriteOff
from config import clock
from customers.backoffice import RecordAdmin, badge, change_url, granted, leave_dialog, link_to, money

State = WriteOff.State
BADGES = {
    State.REQUESTED.label: "warning", State.BOOKED.label: "danger", State.DECLINED.label: "", State.REVERSED.label: "",
}  # fmt: skip
OFFERED: dict[str, tuple[str, ...]] = {State.REQUESTED: ("approve", "decline"), State.BOOKED: ("reverse",)}


def _dialog(title: str, text: str, submit: str, form: type[BaseDialogForm] = BaseDialogForm) -> dict[str, Any]:
    return {"title": title, "description": text, "form_class": form, "form_submit_text": submit}


@admin.register(WriteOff)
class WriteOffAdmin(RecordAdmin):
    """What customers will not pay any more."""

    list_display = ("invoice_link", "customer", "amount_money", "state_badge", "reason", "requested_by", "decided_by")
    list_filter = (("state", ChoicesDropdownFilter),)
    list_select_related = ("invoice__customer", "requested_by", "decided_by")
    search_fields = ("invoice__number", "invoice__customer__legal_name", "reason")
    search_help_text = "Invoice number, customer, or reason"
    empty_hint = "A write-off is asked for on the page of an open invoice."
    fields = (
        ("invoice_link", "customer"), ("amount_money", "state_badge"), "reason", ("requested_by", "requested_at"),
        ("decided_by", "decided_at"), ("reversed_by", "reversed_at"), "reversal_reason",
    )  # fmt: skip
    readonly_fields = ("invoice_link", "customer", "amount_money", "state_badge")
    actions_detail = ("approve", "decline", "reverse")
    has_approve_permission = granted("billing.approve_writeoff")

    def get_queryset(self, request: HttpRequest) -> QuerySet[WriteOff]:
        """With the invoice and its customer."""
        return super().get_queryset(request).select_related("invoice__customer")

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """Only legal next steps."""
        found = self.get_object(request, unquote(str(object_id)))
        offered = OFFERED.get(found.state, ()) if found else ()
        return [step for step in super().get_actions_detail(request, object_id) if step.path in offered]

    @display(description="Invoice", ordering="invoice__number")
    def invoice_link(self, found: WriteOff) -> str:
        """What is not paid."""
        return link_to(found.invoice)

    @display(description="Customer", ordering="invoice__customer__legal_name")
    def customer(self, found: WriteOff) -> str:
        """Who does not pay."""
        return link_to(found.invoice.customer)

    @display(description="Amount", ordering="amount")
    def amount_money(self, found: WriteOff) -> str:
        """What is given up."""
        return money(found.amount, found.invoice.currency)

    @display(description="State", ordering="state")
    def state_badge(self, found: WriteOff) -> str:
        """Waits, written off, declined, reversed."""
        return badge(found.get_state_display(), BADGES)

    @action(description="Approve", icon="check", variant=ActionVariant.PRIMARY, permissions=["approve"], dialog=_dialog(
        "Approve the write-off", "Books the amount as bad debt: the invoice has it open no longer.", "Approve",
    ))  # fmt: skip
    def approve(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """The second person says yes."""
        return self._do(request, services.approve_write_off, object_id, "Approved: written off.")

    @action(description="Decline", icon="close", permissions=["approve"], dialog=_dialog(
        "Decline the write-off", "The invoice stays open. Another write-off can be asked for.", "Decline",
    ))  # fmt: skip
    def decline(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """The invoice stays open."""
        return self._do(request, services.decline_write_off, object_id, "Declined.")

    @action(description="Reverse", icon="undo", permissions=["approve"], dialog=_dialog(
        "Reverse the write-off", "The amount is open again, e.g. because the customer pays after all.", "Reverse",
        ReverseForm,
    ))  # fmt: skip
    def reverse(self, request: HttpRequest, form: ReverseForm, object_id: str) -> HttpResponse:
        """Open again."""
        return self._do(
            request, services.reverse_write_off, object_id, "Reversed: open again.", reason=form.cleaned_data["reason"]
        )

    def _do(
        self, request: HttpRequest, verb: Callable[..., Any], object_id: str, done: str, **given: Any
    ) -> HttpResponse:
        found = self.get_object(request, unquote(object_id))
        self.carry_out(
            request, found, done,
            lambda: verb(write_off_id=found.pk, user=request.user, now=clock.now(), **given), refusals=PaymentsError,
        )  # fmt: skip
        return leave_dialog(change_url(found))
