"""What the pages of legal entities and customers show of tax: the dated facts, and the buttons that say more."""

from typing import Any

from django.contrib.admin.utils import unquote
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.dataclasses import UnfoldAction
from unfold.decorators import action, display

from config import clock
from customers.backoffice import OfficeAdmin, RecordInline, change_url, granted, leave_dialog
from customers.errors import CustomerError
from customers.models import Customer
from customers.taxation import services
from customers.taxation.forms import SetupForm, TakeSetupBackForm, TakeTreatmentBackForm, TreatmentForm
from customers.taxation.models import TaxSetup, TaxTreatment

AFTER = " The next billing run brings open drafts up to date; what was billed stays."


class _FactInline(RecordInline):
    """Dated facts about tax, without those that were taken back."""

    owner = ""

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """They belong to whom they are about."""
        return bool(request.user.has_perm(f"customers.view_{self.owner}"))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With what the rows print."""
        return super().get_queryset(request).filter(undone_at=None).select_related("recorded_by", "entity")


class SetupInline(_FactInline):
    """How a legal entity taxes."""

    model = TaxSetup
    owner = "legalentity"
    fields = readonly_fields = ("rates", "rounding", "point", "start", "reason", "recorded_at", "recorded_by")
    verbose_name_plural = "tax"

    @display(description="Rates from")
    def rates(self, fact: TaxSetup) -> str:
        """Who tells them."""
        return {"": "no tax", "table": "the table"}.get(fact.provider, fact.provider)


class TreatmentInline(_FactInline):
    """How a customer is taxed."""

    model = TaxTreatment
    owner = "customer"
    fields = readonly_fields = ("treatment", "where", "note", "by", "start", "reason", "recorded_at", "recorded_by")
    verbose_name_plural = "tax"

    @display(description="Taxed in")
    def where(self, fact: TaxTreatment) -> str:
        """Country and region."""
        return "-".join(filter(None, (fact.country, fact.region))) or "the seller’s country"

    @display(description="By")
    def by(self, fact: TaxTreatment) -> str:
        """One seller, or all."""
        return str(fact.entity or "All")


class _TaxButtons(OfficeAdmin):
    """An inline that is there where it has rows, and a way back where there is something to take back."""

    tax_inline: type[_FactInline]
    tax_owner = ""
    take_back_path = ""

    def _said(self, about: Any) -> bool:
        rows = self.tax_inline.model.objects.filter(**{self.tax_owner: about}, undone_at=None)
        return bool(rows.exists())

    def get_inlines(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """Without an empty table."""
        found = list(super().get_inlines(request, obj))
        return [*found, self.tax_inline] if obj is not None and self._said(obj.pk) else found

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[UnfoldAction]:
        """Only what was said can be taken back."""
        steps = super().get_actions_detail(request, object_id)
        if self._said(unquote(str(object_id))):
            return steps
        return [step for step in steps if step.path != self.take_back_path]

    def take_tax_back(self, request: HttpRequest, about: Model, fact: TaxSetup | TaxTreatment) -> HttpResponse:
        """As if it had never been said."""
        self.carry_out(
            request, about, f"Taken back: {fact}.", lambda: services.take_back(fact=fact, now=clock.now()),
            refusals=CustomerError, after=AFTER,
        )  # fmt: skip
        return leave_dialog(change_url(about))


class EntityTaxButtons(_TaxButtons):
    """The buttons of a legal entity's page that say how it taxes."""

    tax_inline, tax_owner, take_back_path = SetupInline, "entity", "take_setup_back"
    has_tax_permission = granted("customers.change_legalentity")

    @action(description="Set up tax", icon="percent", permissions=["tax"], dialog={
        "title": "How is tax computed?",
        "description": "From a day on. Drafts follow with the next billing run, and what was billed keeps its tax.",
        "form_class": SetupForm,
        "form_submit_text": "Set up tax",
    })  # fmt: skip
    def set_up_tax(self, request: HttpRequest, form: SetupForm, object_id: str) -> HttpResponse:
        """From a day on."""
        entity, given = self.get_object(request, unquote(object_id)), _given(form)
        self.carry_out(
            request, entity, f"Tax: {given['provider'] or 'none'} from {given['start']}.",
            lambda: services.set_up_tax(entity=entity, user=request.user, now=clock.now(), **given),
            refusals=ValidationError, after=AFTER,
        )  # fmt: skip
        return leave_dialog(change_url(entity))

    @action(description="Take tax back", icon="undo", permissions=["tax"], dialog={
        "title": "Take back how tax is computed?",
        "description": "As if it had never been said. What was billed keeps its tax.",
        "form_class": TakeSetupBackForm,
        "form_submit_text": "Take back",
    })  # fmt: skip
    def take_setup_back(self, request: HttpRequest, form: TakeSetupBackForm, object_id: str) -> HttpResponse:
        """Take one of the facts back."""
        return self.take_tax_back(request, self.get_object(request, unquote(object_id)), form.cleaned_data["fact"])


class CustomerTaxButtons(_TaxButtons):
    """The buttons of a customer's page that say how it is taxed."""

    tax_inline, tax_owner, take_back_path = TreatmentInline, "customer", "take_treatment_back"
    has_tax_permission = granted("customers.add_taxtreatment")

    @action(description="Set tax", icon="percent", permissions=["tax"], dialog={
        "title": "How is this customer taxed?",
        "description": "From a day on, where it pays. Without a word, it is taxed in the seller’s country.",
        "form_class": TreatmentForm,
        "form_submit_text": "Set tax",
    })  # fmt: skip
    def set_tax(self, request: HttpRequest, form: TreatmentForm, object_id: str) -> HttpResponse:
        """From a day on."""
        customer, given = self.get_object(request, unquote(object_id)), _given(form)
        said = TaxTreatment.Treatment(given["treatment"]).label
        self.carry_out(
            request, customer, f"Tax: {said} from {given['start']}.",
            lambda: services.treat(customer=_as(customer), user=request.user, now=clock.now(), **given),
            refusals=CustomerError, after=AFTER,
        )  # fmt: skip
        return leave_dialog(change_url(customer))

    @action(description="Take tax back", icon="undo", permissions=["tax"], dialog={
        "title": "Take back how this customer is taxed?",
        "description": "As if it had never been said. What was billed keeps its tax.",
        "form_class": TakeTreatmentBackForm,
        "form_submit_text": "Take back",
    })  # fmt: skip
    def take_treatment_back(self, request: HttpRequest, form: TakeTreatmentBackForm, object_id: str) -> HttpResponse:
        """Take one of the facts back."""
        return self.take_tax_back(request, self.get_object(request, unquote(object_id)), form.cleaned_data["fact"])


def _given(form: Any) -> dict[str, Any]:
    """What was filled in, without the skin's own mark of a dialog that was sent."""
    return {name: value for name, value in form.cleaned_data.items() if not name.startswith("_")}


def _as(customer: Any) -> Customer:
    """The customer of the page, annotated as its list is."""
    return Customer.objects.get(pk=customer.pk)
