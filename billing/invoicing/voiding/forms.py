"""The dialog that voids an issued invoice."""

from django import forms
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget, UnfoldBooleanWidget

from billing.invoicing.concessions.models import Way


class VoidForm(BaseDialogForm):
    """Why, whether its lines are billed again, and what becomes of what was paid."""

    reason = forms.CharField(
        max_length=300, widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="Printed on the reversal, e.g. “Sent to the wrong company”.",
    )  # fmt: skip
    waive = forms.BooleanField(
        required=False, label="Do not bill its lines again", widget=UnfoldBooleanWidget(),
        help_text="Otherwise they stand on the next draft, as the facts have them then.",
    )  # fmt: skip
    way = forms.ChoiceField(
        label="What was paid", choices=Way.choices, initial=Way.BALANCE, widget=UnfoldAdminSelectWidget(),
    )  # fmt: skip
