"""Forms of late usage: what the page shows, what a policy says, and why a draft is approved early."""

from typing import Any

from django import forms
from unfold.forms import BaseDialogForm
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from billing.invoicing.late.models import InvoicingPolicy
from billing.metering.models import Meter


class LateForm(forms.Form):
    """Which cycles, whose, of which meter."""

    month = forms.CharField(
        label="Cycles in", required=False, widget=UnfoldAdminTextInputWidget(attrs={"type": "month"})
    )
    customer = forms.CharField(
        required=False, widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "Name or your own id"})
    )
    meter = forms.ChoiceField(required=False, widget=UnfoldAdminSelectWidget())

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        codes = sorted(set(Meter.objects.values_list("code", flat=True)))
        self.fields["meter"].choices = [("", "All"), *((code, code) for code in codes)]  # type: ignore[attr-defined]


class PolicyForm(forms.ModelForm):
    """What holds from a day on; the database says the rest."""

    class Meta:
        model = InvoicingPolicy
        fields = (
            "entity", "contract", "since", "late", "grace", "grace_unit", "zero", "threshold", "currency", "reason",
        )  # fmt: skip

    def clean(self) -> dict[str, Any]:
        """A contract's smallest invoice is in its own currency."""
        found: dict[str, Any] = super().clean() or self.cleaned_data
        contract, currency = found.get("contract"), found.get("currency")
        if contract and currency and currency != contract.currency:
            self.add_error("currency", f"Contract {contract} is billed in {contract.currency}: give it in that.")
        return found


class EarlyForm(BaseDialogForm):
    """Why a draft that waits is approved now."""

    reason = forms.CharField(
        max_length=500, widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}), help_text="Kept with the invoice."
    )
