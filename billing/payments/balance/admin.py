"""Customer balances: the list, and a statement with the running balance."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.contrib.filters.admin import RelatedDropdownFilter
from unfold.decorators import action, display

from billing.payments.balance import services
from billing.payments.balance.forms import TakeForm
from billing.payments.balance.models import BalanceAccount, BalanceEntry
from billing.payments.balance.queries import with_balance
from billing.payments.errors import PaymentsError
from config import clock
from customers.admin import CustomerAdmin as PlainCustomerAdmin
from customers.backoffice import (
    NONE,
    RecordAdmin,
    RecordInline,
    amount_text,
    change_url,
    granted,
    leave_dialog,
    link_to,
    money,
)
from customers.models import Customer


def _dialog(title: str, text: str, submit: str) -> dict[str, Any]:
    return {"title": title, "description": text, "form_class": TakeForm, "form_submit_text": submit}


class EntryInline(RecordInline):
    """The statement: every movement with the balance after it."""

    model = BalanceEntry
    fields = readonly_fields = ("day", "kind", "about", "amount_money", "balance_money", "recorded_by")
    verbose_name_plural = "statement"

    def get_queryset(self, request: HttpRequest) -> QuerySet[BalanceEntry]:
        """With what the rows print, the latest first."""
        related = ("account", "invoice", "payment", "recorded_by")
        return super().get_queryset(request).select_related(*related).order_by("-number")

    @display(description="About")
    def about(self, entry: BalanceEntry) -> str:
        """The document, or how it was settled."""
        return link_to(entry.invoice or entry.payment) if entry.invoice or entry.payment else entry.reason or NONE

    @display(description="Amount")
    def amount_money(self, entry: BalanceEntry) -> str:
        """More for the customer when positive."""
        return money(entry.amount, entry.account.currency)

    @display(description="Balance")
    def balance_money(self, entry: BalanceEntry) -> str:
        """After the entry."""
        return money(entry.balance, entry.account.currency)


class BalanceInline(RecordInline):
    """What sellers owe a customer, on the page of the customer."""

    model = BalanceAccount
    fields = readonly_fields = ("entity_link", "balance_money")
    verbose_name_plural = "balances"

    def get_queryset(self, request: HttpRequest) -> QuerySet[BalanceAccount]:
        """With the balance of each."""
        return with_balance(super().get_queryset(request).select_related("entity", "customer"))

    @display(description="With")
    def entity_link(self, account: BalanceAccount) -> str:
        """To the statement."""
        return link_to(account, account.entity.name)

    @display(description="Balance")
    def balance_money(self, account: Any) -> str:
        """Σ entries."""
        return money(account.balance, account.currency)


class CustomerAdmin(PlainCustomerAdmin):
    """The page of a customer with its balances, once it has one."""

    inlines = (*PlainCustomerAdmin.inlines, BalanceInline)

    def get_inlines(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """Without an empty table."""
        found: list[Any] = super().get_inlines(request, obj)
        if obj is None or not BalanceAccount.objects.filter(customer=obj).exists():
            found = [each for each in found if each is not BalanceInline]
        return found


@admin.register(BalanceAccount)
class BalanceAccountAdmin(RecordAdmin):
    """What the seller owes its customers: the next invoices use it before any payment."""

    list_display = ("customer", "balance_money", "entity")
    list_filter = (("entity", RelatedDropdownFilter), "currency")
    list_select_related = ("customer", "entity")
    search_fields = ("customer__legal_name", "customer__external_id")
    search_help_text = "Customer"
    empty_hint = "A balance begins with an issued credit note, or with a payment of more than was open."
    fields = (("customer_link", "entity"), "balance_money")
    readonly_fields = ("customer_link", "balance_money")
    inlines = (EntryInline,)
    actions_detail = ("refund", "settle_outside")
    has_settle_permission = granted("billing.settle_balanceaccount")

    def get_queryset(self, request: HttpRequest) -> QuerySet[BalanceAccount]:
        """With the balance of each."""
        return with_balance(super().get_queryset(request).select_related("customer", "entity"))

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """A balance of zero has nothing to pay back."""
        steps: list[Any] = super().get_actions_detail(request, object_id)
        account: Any = self.get_object(request, unquote(str(object_id)))
        return steps if account and account.balance else []

    @display(description="Customer")
    def customer_link(self, account: BalanceAccount) -> str:
        """Whose it is."""
        return link_to(account.customer)

    @display(description="Balance", ordering="balance")
    def balance_money(self, account: Any) -> str:
        """Σ entries."""
        return money(account.balance, account.currency)

    @action(description="Record refund", icon="undo", permissions=["settle"], dialog=_dialog(
        "Record a refund", "Says that the money was paid back. It cannot be edited afterwards.", "Record",
    ))  # fmt: skip
    def refund(self, request: HttpRequest, form: TakeForm, object_id: str) -> HttpResponse:
        """Money back to the customer."""
        return self._take(request, services.refund, form, object_id, "Refunded")

    @action(description="Settled outside", icon="swap_horiz", permissions=["settle"], dialog=_dialog(
        "Settled outside",
        "Says that it was settled elsewhere, e.g. set off in another system. It cannot be edited afterwards.", "Record",
    ))  # fmt: skip
    def settle_outside(self, request: HttpRequest, form: TakeForm, object_id: str) -> HttpResponse:
        """Settled where the books do not see it."""
        return self._take(request, services.settle_outside, form, object_id, "Settled outside")

    def _take(
        self, request: HttpRequest, verb: Callable[..., Any], form: TakeForm, object_id: str, done: str
    ) -> HttpResponse:
        account, given = self.get_object(request, unquote(object_id)), form.cleaned_data
        self.carry_out(
            request, account, f"{done}: {amount_text(given['amount'], account.currency)}, {given['reason']}.",
            lambda: verb(
                account_id=account.pk, amount=given["amount"], reason=given["reason"], user=request.user,
                now=clock.now(),
            ),
            refusals=PaymentsError,
        )  # fmt: skip
        return leave_dialog(change_url(account))


admin.site.unregister(Customer)
admin.site.register(Customer, CustomerAdmin)
