"""The form of a charge in the plan builder. Its price is JSON, checked by the code that rates; a script edits it."""

import json
from typing import Any

from django import forms
from django.contrib import admin
from django.core.validators import validate_slug

from billing.catalog.builder.problems import read_price
from billing.catalog.builder.widgets import MeterSelect, NumberInput, Select, Textarea, TextInput
from billing.catalog.models import Charge
from billing.catalog.wording import price_in_words
from billing.metering.models import Meter
from billing.pricing import price_to_json

LOOK = {"data-theme": "admin-autocomplete", "class": "unfold-admin-autocomplete admin-autocomplete"}
INPUT = {"class": "mb-input"}
CADENCES = {
    "": "As the contract is billed", "P1D": "Daily", "P1W": "Weekly", "P1M": "Monthly", "P3M": "Quarterly",
    "P6M": "Half-yearly", "P1Y": "Yearly",
}  # fmt: skip
EMPTY = {
    "proration": "As the contract says",
    "window": "The whole period",
    "revenue_treatment": "By kind: fees over time, usage as used",
}
PRICE_HELP = (
    'E.g. {"model": "per_unit", "unit_amount": "0.000015", "currency": "USD"}; '
    "for several currencies a list, one price each."
)


class PricesField(forms.CharField):
    """One price or a list of them as JSON; cleans to a list of canonical prices, one a currency."""

    widget = Textarea

    def clean(self, value: Any) -> list[dict[str, Any]]:
        """Parse and check each; the errors name the path to what is wrong."""
        text = super().clean(value)
        try:
            given = json.loads(text)
        except json.JSONDecodeError as error:
            raise forms.ValidationError(f"This is not JSON: {error.msg} in line {error.lineno}.") from error
        except (RecursionError, ValueError) as error:
            raise forms.ValidationError(
                "This JSON is nested too deeply, or holds a number that is too long."
            ) from error
        several = isinstance(given, list)
        found = []
        wrong = []
        for place, each in enumerate(given if several else [given]):
            price, problems = read_price(each)
            found += [price_to_json(price)] if price else []
            start = f"price[{place}]" if several else "price"
            wrong += [f"{start}{'.' if one.path else ''}{one.path}: {one.message}" for one in problems]
        if wrong:
            raise forms.ValidationError(wrong)
        if not found:
            raise forms.ValidationError("A charge needs at least one price.")
        if len({price["currency"] for price in found}) < len(found):
            raise forms.ValidationError("Two of these prices are in the same currency: keep one.")
        return found

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether the prices are others: blanks and line ends do not count."""
        try:
            return bool(json.loads(initial or "null") != json.loads(data or "null"))
        except (RecursionError, ValueError):
            return True


class ChargeForm(forms.ModelForm):
    """A charge of a draft version, with its code by name and its prices as JSON."""

    code_name = forms.CharField(
        label="Code",
        max_length=60,
        validators=[validate_slug],
        widget=TextInput(INPUT | {"autocomplete": "off", "spellcheck": "false"}),
        help_text="Lasting name, the same in every version and plan of the product, e.g. input-tokens.",
    )
    meter = forms.ModelChoiceField(Meter.objects.all(), required=False, help_text="What is counted.")
    cadence = forms.ChoiceField(label="Billed", choices=list(CADENCES.items()), required=False, widget=Select(INPUT))
    price_json = PricesField(
        label="Price",
        help_text=PRICE_HELP,
        widget=Textarea({"rows": 9, "class": "mb-input mb-code", "spellcheck": "false"}),
    )

    class Meta:
        model = Charge
        fields = (
            "name", "kind", "pay", "meter", "unit", "cadence", "proration", "window", "invoice_group", "tax_code",
            "revenue_treatment", "position",
        )  # fmt: skip
        labels = {
            "pay": "Paid", "unit": "Per", "window": "Priced by", "revenue_treatment": "Revenue",
            "invoice_group": "Heading on the invoice", "tax_code": "Tax code", "position": "Place",
        }  # fmt: skip
        widgets = {
            "name": TextInput(INPUT), "unit": TextInput(INPUT | {"placeholder": "unit"}),
            "kind": forms.RadioSelect, "pay": Select(INPUT), "proration": Select(INPUT),
            "window": Select(INPUT), "invoice_group": TextInput(INPUT),
            "tax_code": TextInput(INPUT), "revenue_treatment": Select(INPUT),
            "position": NumberInput(INPUT),
        }  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = self.fields["meter"].choices  # type: ignore[attr-defined]  # a ModelChoiceField
        select = MeterSelect(Charge._meta.get_field("meter"), admin.site, LOOK, choices)
        self.fields["meter"].widget = select
        self.fields["kind"].choices = Charge.Kind.choices  # type: ignore[attr-defined]  # without an empty one
        for name, words in EMPTY.items():
            rest = [choice for choice in self.fields[name].choices if choice[0]]  # type: ignore[attr-defined]
            self.fields[name].choices = [("", words), *rest]  # type: ignore[attr-defined]
        if self.instance.pk:
            prices = [row.price for row in self.instance.prices.all()]
            self.fields["code_name"].initial = self.instance.code.code
            self.fields["price_json"].initial = json.dumps(prices[0] if len(prices) == 1 else prices, indent=2)
            select.chosen = self.instance.meter
        cadence = self.instance.cadence
        if cadence not in CADENCES:  # one that an import brought
            self.fields["cadence"].choices = [*CADENCES.items(), (cadence, cadence)]  # type: ignore[attr-defined]

    @property
    def words(self) -> str:
        """The saved prices in words, for the closed card."""
        unit = self.instance.meter.unit if self.instance.meter else self.instance.unit or "unit"
        rows = self.instance.prices.all() if self.instance.pk else ()
        prices = [read_price(row.price)[0] for row in rows]
        return "; ".join(price_in_words(price, unit) for price in prices if price)

    def clean_meter(self) -> Meter | None:
        """A new choice is a current version; a draft that has an older one may keep it."""
        meter: Meter | None = self.cleaned_data["meter"]
        if meter and meter.superseded_at and meter.pk != self.instance.meter_id:
            raise forms.ValidationError(f"{meter} was superseded by a newer version: choose that.")
        return meter

    def clean(self) -> dict[str, Any]:
        """Usage is metered and paid in arrears; a fee has no meter. Said here in words, kept by the database."""
        values = super().clean() or self.cleaned_data
        if values.get("kind") == Charge.Kind.USAGE:
            if not values.get("meter") and "meter" not in self.errors:
                self.add_error("meter", "Usage needs a meter: choose what is counted.")
            values["pay"] = Charge.Pay.IN_ARREARS
        else:
            if values.get("meter"):
                self.add_error("meter", "A recurring fee has no meter: empty this, or choose “Usage”.")
            if values.get("window"):
                self.add_error("window", "Only usage is priced by hours or days: choose the whole period for a fee.")
        return values


class ChargeFormSet(forms.BaseInlineFormSet):
    """The charges of one version: no code twice."""

    def clean(self) -> None:
        """The same charge code twice would bill under one name."""
        super().clean()
        codes = [
            form.cleaned_data.get("code_name")
            for form in self.forms
            if getattr(form, "cleaned_data", None) and not form.cleaned_data.get("DELETE")
        ]
        twice = {code for code in codes if code and codes.count(code) > 1}
        if twice:
            raise forms.ValidationError(f"The code “{min(twice)}” stands twice: a version has each code once.")
