"""The form that credits an issued invoice, or a line of it, from the invoice's page."""

from decimal import Decimal
from typing import Any

from django import forms
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminDecimalFieldWidget, UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget

from billing.invoicing.concessions.models import Way
from billing.invoicing.concessions.queries import rest_of
from billing.invoicing.concessions.services import share
from billing.invoicing.errors import InvoicingError
from billing.invoicing.models import Invoice, InvoiceLine
from customers.backoffice import amount_text


class CreditForm(BaseDialogForm):
    """What is credited: all that is left, or of one line an amount or a part of its quantity; why, and what then."""

    line = forms.ChoiceField(label="Of", required=False, widget=UnfoldAdminSelectWidget())
    amount = forms.DecimalField(
        required=False, max_digits=24, decimal_places=4, widget=UnfoldAdminDecimalFieldWidget(),
        help_text="Off the line, before tax. Empty: all that is left of it.",
    )  # fmt: skip
    quantity = forms.DecimalField(
        required=False, max_digits=40, decimal_places=12, widget=UnfoldAdminDecimalFieldWidget(),
        help_text="Instead of an amount: this part of the line’s quantity.",
    )  # fmt: skip
    reason = forms.CharField(
        max_length=300, widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="Printed on the credit note, e.g. “Two days of outage”.",
    )  # fmt: skip
    way = forms.ChoiceField(
        label="What is left of it", choices=Way.choices, initial=Way.BALANCE, required=False,
        widget=UnfoldAdminSelectWidget(), help_text="Whatever is open of the invoice is settled first.",
    )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.invoice = Invoice.objects.get(pk=self.object_id)
        lines = list(self.invoice.lines.all())
        rest = rest_of(lines)
        self.lines = {str(line.pk): (line, rest[line.pk]) for line in lines if rest[line.pk]}
        each = [
            (key, f"{line} – {amount_text(left, self.invoice.currency)} left")
            for key, (line, left) in self.lines.items()
        ]
        self.fields["line"].choices = [("", "The whole invoice, all that is left"), *each]

    def clean(self) -> dict[str, Any]:
        """With `amounts` or `quantities` by line id, neither for the whole. Dialogs show errors at fields only."""
        given: dict[str, Any] = super().clean() or self.cleaned_data
        chosen, amount, quantity = given.get("line"), given.get("amount"), given.get("quantity")
        given["amounts"], given["quantities"] = None, None
        given["way"] = given.get("way") or Way.BALANCE
        if amount is not None and quantity is not None:
            self.add_error("quantity", "Give an amount or a quantity, not both.")
        elif not chosen and (amount is not None or quantity is not None):
            self.add_error("line", "Choose the line that the amount or the quantity is of.")
        elif chosen and quantity is not None:
            given["quantities"] = {int(chosen): quantity}
            self._check_share(self.lines[chosen][0], quantity)
        elif chosen:
            given["amounts"] = {int(chosen): self.lines[chosen][1] if amount is None else amount}
        return given

    def _check_share(self, line: InvoiceLine, quantity: Decimal) -> None:
        try:
            share(line=line, quantity=quantity, currency=self.invoice.currency)
        except InvoicingError as error:
            self.add_error("quantity", str(error))
