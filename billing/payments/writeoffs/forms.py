"""The dialogs of write-offs."""

from typing import Any

from django import forms
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminDecimalFieldWidget, UnfoldAdminTextInputWidget

from billing.invoicing.models import Invoice
from billing.payments.queries import open_amount
from customers.currencies import minor_places


class WriteOffForm(BaseDialogForm):
    """All that is open, unless told otherwise, and why."""

    amount = forms.DecimalField(max_digits=24, decimal_places=4, widget=UnfoldAdminDecimalFieldWidget())
    reason = forms.CharField(max_length=200, widget=UnfoldAdminTextInputWidget(), help_text="Kept with it.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        invoice = Invoice.objects.filter(pk=self.object_id).first()
        if invoice:
            self.fields["amount"].label = f"Amount in {invoice.currency}"
            self.fields["amount"].initial = f"{open_amount(invoice):.{minor_places(invoice.currency)}f}"


class ReverseForm(BaseDialogForm):
    """Why it is open again."""

    reason = forms.CharField(max_length=200, widget=UnfoldAdminTextInputWidget(), help_text="Kept with it.")
