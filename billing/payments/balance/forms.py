"""The dialog that records how a balance was paid back or settled."""

from typing import Any

from django import forms
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminDecimalFieldWidget, UnfoldAdminTextInputWidget

from billing.payments.balance.models import BalanceAccount
from billing.payments.balance.queries import with_balance
from customers.currencies import minor_places


class TakeForm(BaseDialogForm):
    """All of the balance, unless told otherwise, and how."""

    amount = forms.DecimalField(max_digits=24, decimal_places=4, widget=UnfoldAdminDecimalFieldWidget())
    reason = forms.CharField(
        max_length=200, widget=UnfoldAdminTextInputWidget(), help_text="How, e.g. the reference of the transfer."
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        account = with_balance(BalanceAccount.objects.filter(pk=self.object_id)).first()
        if account:
            self.fields["amount"].label = f"Amount in {account.currency}"
            self.fields["amount"].initial = f"{account.balance:.{minor_places(account.currency)}f}"
