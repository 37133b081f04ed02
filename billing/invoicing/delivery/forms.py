"""Forms of letters and of sending later."""

from datetime import datetime
from typing import Any

from django import forms
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminSingleDateWidget

from billing.invoicing.delivery.letters import NAMES, Letter, LetterBroken, check
from billing.invoicing.delivery.models import MailTemplate
from billing.periods import local_midnight


class LetterForm(forms.ModelForm):
    """A letter; one that does not come out is refused with the place and the way out."""

    class Meta:
        model = MailTemplate
        fields = ("entity", "language", "subject", "body")
        help_texts = {
            "body": "Plain text. Write {{ number }} for: "
            + "; ".join(f"{name}: {meaning}" for name, meaning in NAMES.items())
            + ". What stands between {% if period %} and {% endif %} is left out where the name is empty."
        }

    def clean(self) -> dict[str, Any]:
        """As the service checks it."""
        given = super().clean() or {}
        if given.get("subject") and given.get("body"):
            try:
                check(Letter(given["subject"], given["body"]))
            except LetterBroken as error:
                raise forms.ValidationError(str(error)) from error
        return given


class SendForm(BaseDialogForm):
    """When to send an invoice: at once, or on a day."""

    day = forms.DateField(
        label="Send on", required=False, widget=UnfoldAdminSingleDateWidget(),
        help_text="Empty: at once. A day: in its first minutes, in the seller's time zone.",
    )  # fmt: skip

    def on_day(self, zone: str) -> datetime:
        """The first moment of the day that was given, in that time zone, as aware UTC."""
        return local_midnight(self.cleaned_data["day"], zone)
