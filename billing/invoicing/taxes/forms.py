"""Forms of the table of tax rates, and of tax codes."""

from typing import Any, ClassVar

from django import forms
from unfold.widgets import UnfoldAdminTextInputWidget

from billing.invoicing.taxes.models import ProductTax, TaxRate


class TaxRateForm(forms.ModelForm):
    """A rate from a day on; a country in capitals."""

    class Meta:
        model = TaxRate
        fields = (
            "code", "name", "country", "region", "category", "percentage", "compound", "position", "start", "end",
            "reason",
        )  # fmt: skip
        widgets: ClassVar = {"reason": UnfoldAdminTextInputWidget()}

    def clean_country(self) -> str:
        """As the code is written."""
        return str(self.cleaned_data["country"]).upper()

    def clean(self) -> dict[str, Any]:
        """Say that a row of the same day stands, in place of the constraint's general sentence."""
        values: dict[str, Any] = super().clean() or self.cleaned_data
        code, start = values.get("code"), values.get("start")
        if code and start and TaxRate.objects.filter(code=code, start=start, undone_at=None).exists():
            self.add_error("start", f"There is a rate {code} from {start}: take it back first, or choose another day.")
        return values


class ProductTaxForm(forms.ModelForm):
    """A product's tax code from a day on."""

    class Meta:
        model = ProductTax
        fields = ("product", "category", "start", "reason")
        widgets: ClassVar = {"reason": UnfoldAdminTextInputWidget()}
