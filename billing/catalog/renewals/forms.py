"""Dialogs in which a contract is renewed by hand, or notice of its end is recorded."""

from django import forms
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminDecimalFieldWidget, UnfoldAdminTextInputWidget

DAY = {"type": "date"}


class RenewForm(BaseDialogForm):
    """Until when, and at which prices."""

    end = forms.DateField(
        label="Until", required=False, widget=UnfoldAdminTextInputWidget(attrs=DAY),
        help_text="The day after the last one of the new term. Empty: open.",
    )  # fmt: skip
    uplift = forms.DecimalField(
        label="Uplift in percent", initial=0, min_value=-99, max_digits=6, decimal_places=3,
        widget=UnfoldAdminDecimalFieldWidget(), help_text="By how much prices rise from the end of the old term on.",
    )  # fmt: skip


class NoticeForm(BaseDialogForm):
    """When notice was given."""

    on = forms.DateField(
        label="Given on", required=False, widget=UnfoldAdminTextInputWidget(attrs=DAY),
        help_text="The contract then ends as agreed. Empty: take the notice back.",
    )  # fmt: skip
