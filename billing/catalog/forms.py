"""Forms of plans and subscriptions. Prices are written as in `docs/formats.md` and checked by the code that rates."""

import json
from typing import Any

from django import forms
from django.core.validators import validate_slug
from unfold.forms import BaseDialogForm
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from billing.catalog.models import Charge, PlanVersion, Subscription
from billing.catalog.states import VersionState
from billing.metering.models import Meter
from billing.pricing import PriceError, parse_price, price_to_json

DAY = {"type": "date"}
PRICE_HELP = (
    'E.g. {"model": "per_unit", "unit_amount": "0.000015", "currency": "USD"}; '
    "for several currencies a list, one price each."
)


class PricesField(forms.CharField):
    """One price or a list of them as JSON; cleans to a list of canonical prices, one a currency."""

    widget = UnfoldAdminTextareaWidget(attrs={"rows": 9, "style": "font-family: ui-monospace, monospace"})

    def clean(self, value: Any) -> list[dict[str, Any]]:
        """Parse and check each; the error names the path to what is wrong."""
        text = super().clean(value)
        try:
            given = json.loads(text)
        except json.JSONDecodeError as error:
            raise forms.ValidationError(f"This is not JSON: {error.msg} in line {error.lineno}.") from error
        paths = [f"price[{place}]" for place in range(len(given))] if isinstance(given, list) else ["price"]
        try:
            found = [
                price_to_json(parse_price(each, path))
                for each, path in zip(given if isinstance(given, list) else [given], paths, strict=True)
            ]
        except PriceError as error:
            raise forms.ValidationError(str(error)) from error
        if not found:
            raise forms.ValidationError("A charge needs at least one price.")
        if len({price["currency"] for price in found}) < len(found):
            raise forms.ValidationError("Two of these prices are in the same currency: keep one.")
        return found


class ChargeForm(forms.ModelForm):
    """A charge of a draft version, with its code by name and its prices as JSON."""

    code_name = forms.CharField(
        label="Code",
        max_length=60,
        validators=[validate_slug],
        widget=UnfoldAdminTextInputWidget(),
        help_text="Lasting name, the same in every version and plan of the product, e.g. input-tokens.",
    )
    price_json = PricesField(label="Price", help_text=PRICE_HELP)

    class Meta:
        model = Charge
        fields = ("name", "kind", "pay", "meter", "unit", "position")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            prices = [row.price for row in self.instance.prices.all()]
            self.fields["code_name"].initial = self.instance.code.code
            self.fields["price_json"].initial = json.dumps(prices[0] if len(prices) == 1 else prices, indent=2)

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
        elif values.get("meter"):
            self.add_error("meter", "A recurring fee has no meter: empty this, or choose “Usage”.")
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


class NewVersionForm(BaseDialogForm):
    """What the next version is for."""

    note = forms.CharField(
        max_length=200,
        required=False,
        widget=UnfoldAdminTextInputWidget(),
        help_text="What is new, e.g. “Prices from July”. The charges are copied from the latest version.",
    )


def published_versions() -> Any:
    """What can be subscribed to."""
    return PlanVersion.objects.filter(state=VersionState.PUBLISHED).select_related("plan").order_by("plan", "-number")


def _day(label: str, **options: Any) -> forms.DateField:
    return forms.DateField(label=label, widget=UnfoldAdminTextInputWidget(attrs=DAY), **options)


class SubscribeForm(BaseDialogForm):
    """A new line of the contract."""

    version = forms.ModelChoiceField(
        PlanVersion.objects.none(), label="Plan version", widget=UnfoldAdminSelectWidget(), empty_label="Choose a plan"
    )
    code = forms.SlugField(
        max_length=60, widget=UnfoldAdminTextInputWidget(), help_text="Its name in this contract, e.g. platform."
    )
    start = _day("Start", help_text="First day, in the contract's time zone.")
    end = _day("End", required=False, help_text="The day after the last one. Empty: open.")
    quantity = forms.DecimalField(
        initial=1, min_value=0, decimal_places=6, widget=UnfoldAdminDecimalFieldWidget(), help_text="E.g. seats."
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["version"].queryset = published_versions()


class OfSubscription(BaseDialogForm):
    """A dialog on one of the contract's subscriptions."""

    subscription = forms.ModelChoiceField(
        Subscription.objects.none(), widget=UnfoldAdminSelectWidget(), empty_label=None
    )
    at = _day("From", help_text="First day of the change, in the contract's time zone. It may lie in the past.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        mine = Subscription.objects.filter(contract_id=self.object_id).select_related("contract")
        self.fields["subscription"].queryset = mine


class ChangeForm(OfSubscription):
    """Other terms from a day on."""

    version = forms.ModelChoiceField(
        PlanVersion.objects.none(),
        label="Plan version",
        required=False,
        widget=UnfoldAdminSelectWidget(),
        empty_label="Keep the plan",
    )
    quantity = forms.DecimalField(
        required=False,
        min_value=0,
        decimal_places=6,
        widget=UnfoldAdminDecimalFieldWidget(),
        help_text="Empty: keep the quantity.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["version"].queryset = published_versions()

    def clean(self) -> dict[str, Any]:
        """A change changes something."""
        values = super().clean() or self.cleaned_data
        if not values.get("version") and values.get("quantity") is None:
            self.add_error("quantity", "Choose another plan version or quantity.")  # the dialog shows errors of fields
        return values


class EndForm(OfSubscription):
    """The end of a subscription."""

    at = _day("Ends on", help_text="The day after the last one, in the contract's time zone.")
