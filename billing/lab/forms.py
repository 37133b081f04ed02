"""What people ask the price lab, and what an experiment's dialogs ask."""

import re
from datetime import date
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AutocompleteSelectMultiple
from unfold.forms import BaseDialogForm
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from billing.catalog.errors import CatalogError
from billing.catalog.models import PlanVersion, SubscriptionInterval
from billing.catalog.plan_files import read_file
from billing.lab.cohort import Cohort
from billing.lab.models import PriceTrial, TrialCandidate
from billing.lab.services import CANDIDATES, Given
from billing.metering.explorer.forms import LOOK
from billing.metering.models import Meter
from customers.models import Contract, Customer, LegalEntity

DAY = {"type": "date"}
CODE = {
    "rows": 14, "spellcheck": "false",
    "style": "font-family: ui-monospace, monospace; font-size: 12.5px; width: 100%; max-width: none",
}  # fmt: skip
SIZES = [("", "any size"), ("revenue", "invoiced in these months"), ("usage", "used of a meter in these months")]
SEPARATORS = re.compile(r"[\s,;]+")


class MonthField(forms.DateField):
    """A month, as the browser's own field writes it: 2026-10. Cleans to its first day."""

    def __init__(self, **kwargs: Any) -> None:
        widget = UnfoldAdminTextInputWidget(attrs={"type": "month", "placeholder": "2026-10"})
        super().__init__(input_formats=["%Y-%m"], widget=widget, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        """A date as its month."""
        return f"{value:%Y-%m}" if isinstance(value, date) else value


def _several(field: Any, placeholder: str) -> Any:
    """The chooser of several rows that a foreign key's target offers."""
    return AutocompleteSelectMultiple(field, admin.site, attrs=LOOK | {"data-placeholder": placeholder})


class TrialForm(forms.Form):
    """A question to the lab. `edited` may hold a candidate as a plan file; `edited_from` says where it came from."""

    name = forms.CharField(max_length=100, widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "October, 10 % up"}))
    first_month = MonthField(label="From month")
    last_month = MonthField(label="To month (inclusive)")
    versions = forms.ModelMultipleChoiceField(
        PlanVersion.objects.select_related("plan"), label="Candidates", required=False,
        help_text=f"Published versions or drafts, up to {CANDIDATES}. What they say now is frozen.",
    )  # fmt: skip
    edited = forms.CharField(
        label="Edited copy", required=False, widget=UnfoldAdminTextareaWidget(attrs=CODE),
        help_text="One more candidate, as a plan file. Nothing of it reaches the catalog.",
    )  # fmt: skip
    edited_from = forms.ModelChoiceField(PlanVersion.objects.all(), required=False, widget=forms.HiddenInput)
    replaces = forms.ChoiceField(
        label="Candidates replace", choices=PriceTrial.Replaces, widget=UnfoldAdminSelectWidget,
        help_text="Customers without such a subscription in these months are not rated.",
    )  # fmt: skip
    of_versions = forms.ModelMultipleChoiceField(
        PlanVersion.objects.all(), label="Only those on", required=False, help_text="Empty: whatever they have."
    )
    currency = forms.CharField(
        required=False, max_length=3, widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "any"})
    )
    entity = forms.ModelChoiceField(
        LegalEntity.objects.all(), label="Legal entity", required=False, empty_label="any",
        widget=UnfoldAdminSelectWidget,
    )  # fmt: skip
    size_by = forms.ChoiceField(label="Size", choices=SIZES, required=False, widget=UnfoldAdminSelectWidget)
    meter = forms.ModelChoiceField(
        Meter.objects.filter(superseded_at=None), required=False, empty_label="for size by usage",
        widget=UnfoldAdminSelectWidget,
    )  # fmt: skip
    at_least = forms.DecimalField(required=False, widget=UnfoldAdminDecimalFieldWidget)
    at_most = forms.DecimalField(required=False, widget=UnfoldAdminDecimalFieldWidget)
    customers = forms.CharField(
        label="Only these customers", required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3, "placeholder": "acme-gmbh, globex"}),
        help_text="Their ids, separated by commas or lines. Empty: all.",
    )  # fmt: skip
    note = forms.CharField(required=False, widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        candidate, bound = TrialCandidate._meta.get_field("version"), SubscriptionInterval._meta.get_field("version")
        for name, field, text in (("versions", candidate, "Plan versions"), ("of_versions", bound, "Any version")):
            choices = self.fields[name].choices  # type: ignore[attr-defined]  # a ModelMultipleChoiceField
            self.fields[name].widget = _several(field, text)
            self.fields[name].widget.choices = choices

    def clean_currency(self) -> str:
        """In capitals."""
        return str(self.cleaned_data["currency"]).upper()

    def clean_customers(self) -> tuple[str, ...]:
        """Ids that exist; the first that do not are named."""
        ids = [each for each in SEPARATORS.split(self.cleaned_data["customers"]) if each]
        known = set(Customer.objects.filter(external_id__in=ids).values_list("external_id", flat=True))
        unknown = [each for each in ids if each not in known]
        if unknown:
            raise forms.ValidationError(f"No customer has the id {', '.join(f'“{each}”' for each in unknown[:5])}.")
        return tuple(dict.fromkeys(ids))

    def clean_edited(self) -> Any:
        """The plan of the file, or None; the error names the path to what is wrong."""
        text = str(self.cleaned_data["edited"]).strip()
        if not text:
            return None
        try:
            return read_file(text)
        except CatalogError as error:
            raise forms.ValidationError(str(error)) from error

    def clean(self) -> dict[str, Any]:
        """Sizes need what they are measured by."""
        given = super().clean() or self.cleaned_data
        if given.get("size_by") == "usage" and not given.get("meter"):
            self.add_error("meter", "Choose the meter whose quantity is the size.")
        if given.get("size_by") and given.get("at_least") is None and given.get("at_most") is None:
            self.add_error("at_least", "Give a lower or an upper bound.")
        return given

    @property
    def candidates(self) -> list[Given]:
        """What was chosen, in order."""
        given = [Given(version) for version in self.cleaned_data["versions"]]
        edited = self.cleaned_data["edited"]
        return given + ([Given(self.cleaned_data["edited_from"], edited)] if edited else [])

    @property
    def cohort(self) -> Cohort:
        """Who is to be rated."""
        given = self.cleaned_data
        sized = given["size_by"]
        return Cohort(
            versions=tuple(version.pk for version in given["of_versions"]), currency=given["currency"],
            entity=given["entity"].pk if given["entity"] else None, size_by=sized,
            meter=given["meter"].pk if sized == "usage" else None, at_least=given["at_least"] if sized else None,
            at_most=given["at_most"] if sized else None, customers=given["customers"],
        )  # fmt: skip


class AssignForm(BaseDialogForm):
    """A new contract for an experiment."""

    contract = forms.CharField(
        max_length=60, widget=UnfoldAdminTextInputWidget(), help_text="The number of an active contract."
    )
    code = forms.SlugField(
        label="Subscription code", initial="main", max_length=60, widget=UnfoldAdminTextInputWidget(),
        help_text="Its lasting name in the contract.",
    )  # fmt: skip
    start = forms.DateField(widget=UnfoldAdminTextInputWidget(attrs=DAY), help_text="First day.")
    quantity = forms.DecimalField(
        initial=Decimal(1), min_value=Decimal(0), max_digits=20, decimal_places=6,
        widget=UnfoldAdminDecimalFieldWidget(), help_text="How many of each recurring fee, e.g. seats.",
    )  # fmt: skip

    def clean_contract(self) -> Contract:
        """The contract of that number."""
        number = str(self.cleaned_data["contract"]).strip()
        contract = Contract.objects.select_related("customer").filter(number=number).first()
        if contract is None:
            raise forms.ValidationError(f"There is no contract {number}: look its number up in the list of contracts.")
        return contract


class StopForm(BaseDialogForm):
    """Why an experiment ends."""

    reason = forms.CharField(
        max_length=200, widget=UnfoldAdminTextInputWidget(), help_text="What was seen, for those who read it later."
    )
