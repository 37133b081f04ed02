"""Forms of letters and of sending later."""

from datetime import datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from billing.invoicing.delivery.letters import NAMES, Letter, LetterBroken, check
from billing.invoicing.delivery.models import Delivery, MailTemplate
from billing.periods import local_midnight


class LetterForm(forms.ModelForm):
    """A letter; one that does not come out is refused with the place and the way out."""

    class Meta:
        model = MailTemplate
        fields = ("entity", "language", "subject", "body")
        help_texts = {
            "body": format_html(
                "Plain text with names. What stands between {} and {} is left out where that name is empty."
                '<ul class="mb-names">{}</ul>',
                "{% if period %}",
                "{% endif %}",
                format_html_join("", "<li><code>{{{{ {} }}}}</code> {}</li>", NAMES.items()),
            )
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


class SendAgainForm(BaseDialogForm):
    """To whom a new message goes: those who have the customer's invoices today, unless somebody writes others."""

    to = forms.CharField(
        label="To", widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}),
        help_text="One address a line. These are the customer’s billing e-mails of today, or those of the message.",
    )  # fmt: skip

    def __init__(self, request: HttpRequest, object_id: int | str | None = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(request, object_id, *args, **kwargs)
        delivery = Delivery.objects.select_related("invoice__customer").filter(pk=object_id or 0).first()
        if delivery is not None:
            self.fields["to"].initial = "\n".join(delivery.invoice.customer.emails or delivery.recipients)

    def clean_to(self) -> list[str]:
        """The addresses, each once."""
        addresses = list(dict.fromkeys(self.cleaned_data["to"].replace(",", " ").replace(";", " ").split()))
        for address in addresses:
            try:
                validate_email(address)
            except ValidationError:
                raise ValidationError(f"“{address}” is no e-mail address: write one address a line.") from None
        return addresses


class SendForm(BaseDialogForm):
    """When to send an invoice: at once, or on a day."""

    day = forms.DateField(
        label="Send on", required=False, widget=UnfoldAdminTextInputWidget(attrs={"type": "date"}),
        help_text="Empty: at once. A day: in its first minutes, in the seller's time zone.",
    )  # fmt: skip

    def on_day(self, zone: str) -> datetime:
        """The first moment of the day that was given, in that time zone, as aware UTC."""
        return local_midnight(self.cleaned_data["day"], zone)
