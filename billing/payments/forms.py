"""The form that records a payment from an invoice's page."""

from typing import Any

from django import forms
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminDecimalFieldWidget, UnfoldAdminTextInputWidget, UnfoldBooleanWidget

from billing.invoicing.models import Invoice
from billing.payments import queries
from config import clock
from customers.currencies import minor_places


class PaymentForm(BaseDialogForm):
    """Money that arrived for one invoice: what is open, today, unless told otherwise."""

    amount = forms.DecimalField(max_digits=24, decimal_places=4, widget=UnfoldAdminDecimalFieldWidget())
    received_on = forms.DateField(label="Received on", widget=UnfoldAdminTextInputWidget(attrs={"type": "date"}))
    reference = forms.CharField(
        required=False, max_length=100, widget=UnfoldAdminTextInputWidget(), help_text="As on the bank statement."
    )
    keep_over = forms.BooleanField(
        label="Keep what is over as the customer’s balance", required=False, widget=UnfoldBooleanWidget()
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        today = clock.now().date()
        invoice = queries.with_standing(Invoice.objects.filter(pk=self.object_id), today).first()
        self.fields["received_on"].initial = today
        if invoice and invoice.open is not None:
            self.fields["amount"].label = f"Amount in {invoice.currency}"
            self.fields["amount"].initial = f"{invoice.open:.{minor_places(invoice.currency)}f}"
