"""Dialogs about tax: how a seller taxes, how a customer is taxed, and which fact is taken back."""

from typing import Any

from django import forms
from django.conf import settings
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from customers.models import Customer, LegalEntity
from customers.taxation.models import TaxSetup, TaxTreatment

DAY = {"type": "date"}


def day_field(help_text: str) -> forms.DateField:
    """The first day on which something holds."""
    return forms.DateField(label="From", widget=UnfoldAdminTextInputWidget(attrs=DAY), help_text=help_text)


def reason_field() -> forms.CharField:
    """Why; kept with the fact."""
    return forms.CharField(max_length=300, widget=UnfoldAdminTextInputWidget(), help_text="Kept with it.")


class SetupForm(BaseDialogForm):
    """How a legal entity taxes from a day on."""

    provider = forms.ChoiceField(
        required=False, widget=UnfoldAdminSelectWidget(), label="Rates from",
        help_text="The table is under “Tax rates”.",
    )  # fmt: skip
    rounding = forms.ChoiceField(choices=TaxSetup.Rounding.choices, widget=UnfoldAdminSelectWidget())
    point = forms.ChoiceField(
        label="Rate of a line", choices=TaxSetup.Point.choices, widget=UnfoldAdminSelectWidget(),
        help_text="The day whose rate holds.",
    )  # fmt: skip
    start = day_field("Lines whose service ends on this day or later are taxed so. What was billed stays.")
    reason = reason_field()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = [(name, "The table of tax rates" if name == "table" else name) for name in settings.TAX_PROVIDERS]
        self.fields["provider"].choices = [*names, ("", "No tax")]


class TreatmentForm(BaseDialogForm):
    """How a customer is taxed from a day on."""

    treatment = forms.ChoiceField(choices=TaxTreatment.Treatment.choices, widget=UnfoldAdminSelectWidget())
    note = forms.CharField(
        label="Text to print", required=False, max_length=300, widget=UnfoldAdminTextInputWidget(),
        help_text="What the law wants on the invoice where nothing is taxed.",
    )  # fmt: skip
    country = forms.CharField(
        label="Taxed in", required=False, max_length=2, widget=UnfoldAdminTextInputWidget(),
        help_text="ISO 3166 code of the country, e.g. CA. Empty: the seller’s country.",
    )  # fmt: skip
    region = forms.CharField(
        required=False, max_length=20, widget=UnfoldAdminTextInputWidget(), help_text="As the table of rates has it."
    )
    entity = forms.ModelChoiceField(
        LegalEntity.objects.all(), label="By", required=False, widget=UnfoldAdminSelectWidget(),
        empty_label="All legal entities",
    )  # fmt: skip
    start = day_field("It may lie in the past: open drafts follow, what was billed stays.")
    reason = reason_field()

    def clean(self) -> dict[str, Any]:
        """What is not taxed says why on the invoice, and reverse charge needs a tax number."""
        values: dict[str, Any] = super().clean() or self.cleaned_data
        treatment, note = values.get("treatment"), values.get("note")
        if treatment == TaxTreatment.Treatment.STANDARD and note:
            self.add_error("note", "What is taxed has no such text: leave it empty.")
        if treatment in (TaxTreatment.Treatment.EXEMPT, TaxTreatment.Treatment.REVERSE_CHARGE) and not note:
            self.add_error("note", "Write the text that must be printed where nothing is taxed.")
        numbered = Customer.objects.filter(pk=self.object_id).exclude(tax_id="")
        if treatment == TaxTreatment.Treatment.REVERSE_CHARGE and not numbered.exists():
            self.add_error("treatment", "Reverse charge needs the customer’s tax number: write it on its page.")
        return values


class TakeBackForm(BaseDialogForm):
    """Which fact is taken back."""

    fact = forms.ModelChoiceField(TaxSetup.objects.none(), widget=UnfoldAdminSelectWidget(), empty_label=None)
    owner = ""
    model: type[TaxSetup] | type[TaxTreatment] = TaxSetup

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["fact"].queryset = self.model.objects.filter(**{self.owner: self.object_id}, undone_at=None)


class TakeSetupBackForm(TakeBackForm):
    """Of a legal entity."""

    owner, model = "entity", TaxSetup


class TakeTreatmentBackForm(TakeBackForm):
    """Of a customer."""

    owner, model = "customer", TaxTreatment
