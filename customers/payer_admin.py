"""What the page of a customer shows of payers: who pays for it, for whom it pays, and the buttons that change it."""

from typing import Any

from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.dataclasses import UnfoldAction
from unfold.decorators import action, display

from config import clock
from customers import services
from customers.backoffice import OfficeAdmin, RecordInline, change_url, granted, leave_dialog, link_to
from customers.errors import CustomerError
from customers.forms import PayerForm, UndoPayerForm
from customers.models import Payer


class _PayerInline(RecordInline):
    """Dated facts about payers, without those that were taken back; whoever sees the customer sees them."""

    model = Payer

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """They belong to the customer."""
        return bool(request.user.has_perm("customers.view_customer"))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Payer]:
        """With what the rows print."""
        rows = super().get_queryset(request).filter(undone_at=None)
        return rows.select_related("customer", "payer", "contract", "recorded_by")

    @display(description="Contract")
    def contract_link(self, fact: Payer) -> str:
        """One, or all of the customer."""
        return link_to(fact.contract) if fact.contract else "All"


class PaidByInline(_PayerInline):
    """Who pays for the customer."""

    fk_name = "customer"
    fields = readonly_fields = ("payer_link", "contract_link", "start", "reason", "recorded_at", "recorded_by")
    verbose_name_plural = "paid by"

    @display(description="Paid by")
    def payer_link(self, fact: Payer) -> str:
        """Who pays."""
        return link_to(fact.payer)


class PaysForInline(_PayerInline):
    """For whom the customer pays."""

    fk_name = "payer"
    fields = readonly_fields = ("customer_link", "contract_link", "start", "reason", "recorded_at", "recorded_by")
    verbose_name_plural = "pays for"

    @display(description="Customer")
    def customer_link(self, fact: Payer) -> str:
        """Who is paid for."""
        return link_to(fact.customer)


class PayerButtons(OfficeAdmin):
    """The buttons of a customer's page that say who pays."""

    has_payer_permission = granted("customers.change_customer")

    def get_inlines(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """The tables of payers that have rows."""
        empty = [
            each
            for each in (PaidByInline, PaysForInline)
            if obj is None or not Payer.objects.filter(**{each.fk_name: obj}, undone_at=None).exists()
        ]
        return [each for each in super().get_inlines(request, obj) if each not in empty]

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[UnfoldAction]:
        """Only what there is can be taken back."""
        steps = super().get_actions_detail(request, object_id)
        if Payer.objects.filter(customer_id=unquote(str(object_id)), undone_at=None).exists():
            return steps
        return [step for step in steps if step.path != "undo_payer"]

    @action(description="Set payer", icon="account_balance_wallet", permissions=["payer"], dialog={
        "title": "Who pays?",
        "description": "Their lines stand on the payer's invoices, in a section of this customer. What was billed, and "
        "corrections of it, stay with whoever was billed.",
        "form_class": PayerForm,
        "form_submit_text": "Set payer",
    })  # fmt: skip
    def set_payer(self, request: HttpRequest, form: PayerForm, object_id: str) -> HttpResponse:
        """From a day on, another customer pays."""
        customer, given = self.get_object(request, unquote(object_id)), form.cleaned_data
        try:
            with transaction.atomic():
                fact = services.set_payer(
                    customer=customer, payer=given["payer"], contract=given["contract"], start=given["start"],
                    reason=given["reason"], user=request.user, now=clock.now(),
                )  # fmt: skip
        except CustomerError as error:
            messages.error(request, str(error))
        else:
            what = f"Contract {fact.contract}" if fact.contract else "All contracts"
            said = f"{what}: paid by {fact.payer} from {fact.start}."
            self.log_change(request, customer, said)
            messages.success(request, f"{said} The next billing run moves the lines of open drafts.")
        return leave_dialog(change_url(customer))

    @action(description="Take payer back", icon="undo", permissions=["payer"], dialog={
        "title": "Take back who pays?",
        "description": "As if it had never been said. What was billed stays with whoever was billed.",
        "form_class": UndoPayerForm,
        "form_submit_text": "Take back",
    })  # fmt: skip
    def undo_payer(self, request: HttpRequest, form: UndoPayerForm, object_id: str) -> HttpResponse:
        """Take one of the facts back."""
        customer, fact = self.get_object(request, unquote(object_id)), form.cleaned_data["fact"]
        services.undo_payer(fact=fact, now=clock.now())
        self.log_change(request, customer, f"Taken back: paid by {fact}.")
        messages.success(request, f"Taken back: paid by {fact}. The next billing run moves the lines of open drafts.")
        return leave_dialog(change_url(customer))
