"""Pages of legal entities, customers with their usage subjects, and contracts.

`billing.catalog.admin` puts its own page of a contract in place of the one here: with the subscriptions, of which
customers know nothing.
"""

from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.db import transaction
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from unfold.admin import TabularInline
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateFilter, RelatedDropdownFilter
from unfold.dataclasses import UnfoldAction
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminTextInputWidget

from config import clock
from customers import services
from customers.backoffice import NONE, OfficeAdmin, badge, change_url, granted, leave_dialog, link_to
from customers.errors import CustomerError, SubjectTaken
from customers.forms import LogoInput
from customers.locks import lock_customers
from customers.models import Contract, Customer, LegalEntity, UsageSubject
from customers.payer_admin import PaidByInline, PayerButtons, PaysForInline
from customers.queries import claims_on, payers_of
from customers.states import ContractState
from customers.taxation.admin import CustomerTaxButtons, EntityTaxButtons

STATE_BADGES = {ContractState.DRAFT.label: "warning", ContractState.ACTIVE.label: "success"}
FROZEN_WHEN_ACTIVE = (
    "number", "customer", "entity", "start", "currency", "cadence", "anchor_day", "anchor_month", "stub_divisor",
    "timezone", "proration", "prices",
)  # fmt: skip  # the columns that the trigger contract_frozen keeps


@admin.register(LegalEntity)
class LegalEntityAdmin(EntityTaxButtons):
    """The companies that sell."""

    list_display = ("name", "code", "country", "currency", "timezone", "invoice_prefix")
    actions_detail = ("set_up_tax", "take_setup_back")
    search_fields = ("name", "code", "tax_id")
    search_help_text = "Name, code or tax number"
    fieldsets = (
        (None, {"fields": (("name", "code"), ("country", "tax_id"), "address", "email")}),
        ("Books", {"fields": (("currency", "timezone"),)}),
        (
            "Documents",
            {"fields": (("invoice_prefix", "credit_note_prefix"), "negative", ("four_eyes", "send_after_days"))},
        ),
        ("Bank", {"fields": ("bank_details", "iban", "bic", "reference")}),
        ("Look of documents", {"fields": (("logo", "colour"), "legal_text", "footer")}),
    )

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """The logo as a picture."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "logo" and field:
            field.widget = LogoInput(attrs={"accept": "image/png,image/jpeg"})
        return field


class SubjectForm(forms.ModelForm):
    """A claim, refused with the name of who has the subject."""

    class Meta:
        model = UsageSubject
        fields = ("subject", "valid_from", "valid_to")
        widgets: ClassVar = {"subject": UnfoldAdminTextInputWidget(attrs={"style": "min-width: 200px"})}

    def clean(self) -> dict[str, Any]:
        """Say whose claim overlaps, in place of the constraint's general sentence."""
        values = super().clean() or self.cleaned_data
        if subject := values.get("subject"):
            others = claims_on(subject=subject, valid_from=values.get("valid_from"), valid_to=values.get("valid_to"))
            taken = others.exclude(pk=self.instance.pk).first()
            if taken:
                raise forms.ValidationError(str(SubjectTaken(taken)))
        return values


class SubjectInline(TabularInline):
    """The usage subjects of a customer: add one, or end one; the text itself stays as it was claimed."""

    model = UsageSubject
    form = SubjectForm
    extra = 0
    can_delete = False
    hide_title = True
    verbose_name_plural = "usage subjects"

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A claim is a dated fact: it is ended, not deleted."""
        return False


@admin.register(Customer)
class CustomerAdmin(CustomerTaxButtons, PayerButtons):
    """Who buys, with the subjects whose usage is theirs, and who pays for it."""

    list_display = ("legal_name", "external_id", "country", "currency", "active_count", "subject_count", "created_at")
    list_filter = (("contracts__state", ChoicesDropdownFilter), "currency", "country", ("created_at", RangeDateFilter))
    search_fields = ("legal_name", "external_id", "subjects__subject")
    search_help_text = "Name, your own id, or a usage subject"
    ordering = ("legal_name", "id")
    inlines = (SubjectInline, PaidByInline, PaysForInline)
    readonly_fields = ("created_at",)
    actions_detail = (
        "open_usage",
        {"title": "Records", "icon": "folder_open", "items": ["open_contracts", "open_invoices"]},
        {"title": "Payer", "icon": "account_balance_wallet", "items": ["set_payer", "undo_payer"]},
        {"title": "Tax", "icon": "percent", "items": ["set_tax", "take_treatment_back"]},
        "add_contract",
    )
    has_usage_permission = granted("billing.view_meter")
    has_contracts_permission = granted("customers.view_contract")
    has_invoices_permission = granted("billing.view_invoice")
    has_contract_permission = granted("customers.add_contract")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("legal_name", "external_id"),
                    "emails",
                    ("copy_emails", "hidden_copy_emails"),
                    ("currency", "timezone", "locale"),
                )
            },
        ),
        (
            "Address",
            {"fields": (("address_line1", "address_line2"), ("postal_code", "city"), ("region", "country"), "tax_id")},
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Customer]:
        """With the numbers of the list, counted in the same query."""
        return (
            super()
            .get_queryset(request)
            .annotate(
                active=Count("contracts", Q(contracts__state=ContractState.ACTIVE), distinct=True),
                claimed=Count("subjects", distinct=True),
            )
        )

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Addresses as one line of text."""
        if db_field.name.endswith("emails"):
            kwargs["widget"] = UnfoldAdminTextInputWidget()
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        """Claims are written by their services; the form has checked them."""
        if formset.model is not UsageSubject:
            super().save_formset(request, form, formset, change)
            return
        formset.save(commit=False)
        with transaction.atomic():
            for claim in formset.new_objects:
                claim.pk = services.claim_subject(
                    customer=claim.customer,
                    subject=claim.subject,
                    valid_from=claim.valid_from,
                    valid_to=claim.valid_to,
                ).pk
            for claim, _ in formset.changed_objects:
                services.date_claim(claim=claim, valid_from=claim.valid_from, valid_to=claim.valid_to)

    @display(description="Active contracts", ordering="active")
    def active_count(self, customer: Any) -> int:
        """Contracts in force."""
        return customer.active

    @display(description="Subjects", ordering="claimed")
    def subject_count(self, customer: Any) -> int:
        """Usage subjects ever claimed."""
        return customer.claimed

    @action(description="Usage", icon="monitoring", permissions=["usage"])
    def open_usage(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """To the customer's usage by day."""
        return HttpResponseRedirect(reverse("admin:billing_customer_usage", args=[object_id]))

    @action(description="Contracts", icon="contract", permissions=["contracts"])
    def open_contracts(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """To the list of the customer's contracts."""
        return HttpResponseRedirect(_of_customer("customers_contract", object_id))

    @action(description="Invoices", icon="receipt_long", permissions=["invoices"])
    def open_invoices(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """To the list of the customer's invoices."""
        return HttpResponseRedirect(_of_customer("billing_invoice", object_id))

    @action(description="Add contract", icon="add", variant=ActionVariant.PRIMARY, permissions=["contract"])
    def add_contract(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """To a new contract with the customer's currency and time zone filled in."""
        return HttpResponseRedirect(f"{reverse('admin:customers_contract_add')}?customer={object_id}")


def _of_customer(model: str, object_id: str) -> str:
    """The list of a model, of one customer."""
    return f"{reverse(f'admin:{model}_changelist')}?customer__id__exact={object_id}"


ACTIVATE = {
    "title": "Activate this contract?",
    "description": "From now on billing runs invoice it. Customer, legal entity, start, currency, cadence, time zone "
    "and proration can no longer be changed.",
    "form_class": BaseDialogForm,
    "form_submit_text": "Activate",
}


class ContractAdmin(OfficeAdmin):
    """Commercial terms: a draft is edited and activated; an active one is frozen but for its end and payment terms."""

    list_display = ("number", "customer_link", "entity", "state_badge", "start", "end", "cadence", "currency")
    list_filter = (
        ("state", ChoicesDropdownFilter),
        ("entity", RelatedDropdownFilter),
        "currency",
        ("start", RangeDateFilter),
    )
    list_select_related = ("customer", "entity")
    search_fields = ("number", "customer__legal_name", "customer__external_id")
    search_help_text = "Contract number, customer's name or your own id of the customer"
    autocomplete_fields = ("customer", "entity")
    readonly_fields = ("state_badge", "paid_by", "created_at")
    actions_detail = ("activate",)
    needs = (LegalEntity, Customer)
    has_activate_permission = granted("customers.change_contract")
    fieldsets = (
        (None, {"fields": (("number", "state_badge"), ("customer", "entity"), ("start", "end"))}),
        (
            "Billing",
            {
                "fields": (
                    ("currency", "timezone"),
                    ("cadence", "anchor_day"),
                    ("anchor_month", "billing_dates"),
                    ("proration", "stub_divisor"),
                    ("net_days", "po_number"),
                    ("invoice_group", "paid_by"),
                    "prices",
                )
            },
        ),
        ("Renewal", {"fields": (("renewal", "renewal_term"), ("notice_days", "notice_on"), "uplift")}),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Contract | None = None) -> tuple[str, ...]:
        """What the database freezes is shown, not edited."""
        frozen = FROZEN_WHEN_ACTIVE if obj and obj.state != ContractState.DRAFT else ()
        return (*self.readonly_fields, *frozen)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """A contract that is added from a customer starts with that customer's currency and zone."""
        initial = dict(super().get_changeform_initial_data(request))
        chosen = str(initial.get("customer", ""))
        customer = Customer.objects.filter(pk=chosen).first() if chosen.isdecimal() else None
        if customer:
            initial |= {"currency": customer.currency, "timezone": customer.timezone}
        only = list(LegalEntity.objects.all()[:2])
        return initial | ({"entity": only[0].pk} if len(only) == 1 else {})

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Dates as one line of text."""
        if db_field.name == "billing_dates":
            kwargs["widget"] = UnfoldAdminTextInputWidget()
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def has_delete_permission(self, request: HttpRequest, obj: Contract | None = None) -> bool:
        """Only a draft can be thrown away."""
        allowed = request.user.has_perm("customers.delete_contract")
        return allowed and obj is not None and obj.state == ContractState.DRAFT

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[UnfoldAction]:
        """Only the steps that the contract's state allows."""
        contract = self.get_object(request, unquote(str(object_id)))
        steps = super().get_actions_detail(request, object_id)
        if contract and contract.state == ContractState.DRAFT:
            return [step for step in steps if self.offered_to_draft(step.path)]
        return [step for step in steps if step.path != "activate"]

    def save_model(self, request: HttpRequest, obj: Contract, form: Any, change: bool) -> None:
        """A moved end changes what is billed: it waits for whoever bills this customer now."""
        if change:
            lock_customers([obj.customer_id])  # the admin's own transaction holds it until the commit
        super().save_model(request, obj, form, change)

    def offered_to_draft(self, step: str) -> bool:
        """Whether a button belongs on a draft's page."""
        return True

    @display(description="Customer", ordering="customer__legal_name")
    def customer_link(self, contract: Contract) -> str:
        """The customer, one click away."""
        return link_to(contract.customer)

    @display(description="Paid by")
    def paid_by(self, contract: Contract) -> str:
        """Who pays for service that begins today; it is set on the customer's page."""
        if contract._state.adding:
            return NONE
        if "payer_today" not in contract.__dict__:  # the page asks several times
            today = clock.now().astimezone(ZoneInfo(contract.timezone)).date()
            contract.__dict__["payer_today"] = Customer.objects.get(pk=payers_of([contract])[contract.pk].on(today))
        return link_to(contract.__dict__["payer_today"])

    @display(description="State", ordering="state")
    def state_badge(self, contract: Contract) -> str:
        """Draft or active."""
        return badge(contract.get_state_display(), STATE_BADGES)

    @action(
        description="Activate",
        icon="check_circle",
        variant=ActionVariant.PRIMARY,
        permissions=["activate"],
        dialog=ACTIVATE,
    )
    def activate(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Put the draft into force, or say what is missing."""
        contract = self.get_object(request, unquote(object_id))
        try:
            with transaction.atomic():
                contract = services.activate_contract(contract=contract)
        except CustomerError as error:
            messages.error(request, str(error))
        else:
            self.log_change(request, contract, "Activated.")
            messages.success(request, f"Contract {contract.number} is active: the next billing run invoices it.")
        return leave_dialog(change_url(contract))


admin.site.register(Contract, ContractAdmin)
