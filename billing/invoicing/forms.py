"""Forms of the billing pages."""

from datetime import date, timedelta
from typing import Any

from django import forms
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from config import clock

AHEAD = timedelta(days=62)
"""How far ahead a run may look: a draft keeps its latest day, so a mistyped year would hold it for years."""


class RunForm(BaseDialogForm):
    """The day as of which to bill."""

    as_of = forms.DateField(
        label="As of",
        widget=UnfoldAdminTextInputWidget(attrs={"type": "date"}),
        help_text="What fell due before the start of this day, in each contract's time zone, is billed.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["as_of"].initial = clock.now().date()

    def clean_as_of(self) -> date:
        """Refuse a day far ahead."""
        day: date = self.cleaned_data["as_of"]
        latest = clock.now().date() + AHEAD
        if day > latest:
            raise forms.ValidationError(f"{day} is too far ahead: choose a day up to {latest}.")
        return day


class SendBackForm(BaseDialogForm):
    """Why an approved invoice goes back to draft."""

    reason = forms.CharField(
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="Kept with the invoice, e.g. “Seats of March are wrong”.",
    )


class ReasonForm(BaseDialogForm):
    """Why something that stood is taken back."""

    reason = forms.CharField(widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}), help_text="Kept with it.")
