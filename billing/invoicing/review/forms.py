"""Forms of review."""

from typing import Any

from django import forms
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminTextareaWidget

from billing.invoicing.review.models import ApprovalPolicy


class OverrideForm(BaseDialogForm):
    """Why somebody approves what they prepared."""

    reason = forms.CharField(
        max_length=500, widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}), help_text="Kept with the invoice."
    )


class PolicyForm(forms.ModelForm):
    """What approves itself."""

    class Meta:
        model = ApprovalPolicy
        fields = ("entity", "customer", "since", "amount", "currency", "change", "unusual", "reason")

    def clean(self) -> dict[str, Any]:
        """A policy that approves nothing has no other limits."""
        given = super().clean() or self.cleaned_data
        if given.get("amount") is None and (given.get("change") is not None or given.get("unusual")):
            self.add_error("amount", "Say up to which amount, or leave the other limits empty too.")
        return given
