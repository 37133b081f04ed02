"""Dialogs and inputs of this app's pages."""

from typing import Any

from django import forms
from django.template.loader import render_to_string
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from customers.logos import logo_of
from customers.models import Contract, Customer, Payer


class PayerForm(BaseDialogForm):
    """Who pays from a day on, for all contracts of a customer or for one."""

    payer = forms.CharField(
        label="Paid by",
        widget=UnfoldAdminTextInputWidget(),
        help_text="Your own id of the customer that pays. This customer's own id: it pays itself again.",
    )
    contract = forms.ModelChoiceField(
        Contract.objects.none(), required=False, widget=UnfoldAdminSelectWidget(), empty_label="All, those to come too"
    )
    start = forms.DateField(
        label="From",
        widget=UnfoldAdminTextInputWidget(attrs={"type": "date"}),
        help_text="First day of service that it pays for. It may lie in the past: open drafts move, what was billed "
        "stays.",
    )
    reason = forms.CharField(required=False, max_length=500, widget=UnfoldAdminTextInputWidget())

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["contract"].queryset = Contract.objects.filter(customer=self.object_id)

    def clean_payer(self) -> Customer:
        """The customer that is meant."""
        name = self.cleaned_data["payer"].strip()
        found = Customer.objects.filter(external_id=name).first()
        if found is None:
            raise forms.ValidationError(f"There is no customer with the id “{name}”: look it up in the list.")
        return found


class UndoPayerForm(BaseDialogForm):
    """Which of the facts about payers is taken back."""

    fact = forms.ModelChoiceField(
        Payer.objects.none(), label="Payer", widget=UnfoldAdminSelectWidget(), empty_label=None
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        mine = Payer.objects.filter(customer=self.object_id, undone_at=None).select_related("payer")
        self.fields["fact"].queryset = mine


class LogoInput(forms.ClearableFileInput):
    """A file input that shows the picture that is there: documents are not served, so it has no address."""

    template_name = "customers/admin/logo_input.html"

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        """With the picture."""
        context = super().get_context(name, value, attrs)
        context["logo"] = logo_of(str(value.name)) if self.is_initial(value) else None
        return context

    def _render(self, template_name: str, context: dict[str, Any], renderer: Any = None) -> str:
        return render_to_string(template_name, context)  # the project's templates; forms look in the packages' alone

    def is_initial(self, value: Any) -> bool:
        """Whether a picture is stored."""
        return bool(value) and bool(getattr(value, "name", "")) and not getattr(value, "content_type", "")
