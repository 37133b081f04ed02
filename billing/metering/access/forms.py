"""Forms of API keys."""

from datetime import timedelta
from typing import Any

from django import forms
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminSplitDateTimeWidget,
)

from billing.metering.models import ApiKey
from config import clock

OVERLAPS = {0: "Now: the old key is refused at once", 1: "1 hour", 24: "24 hours", 168: "7 days", 720: "30 days"}
"""Hours for which a key that is replaced still opens the door."""


def _in_future(form: forms.Form | forms.ModelForm) -> Any:
    """The end of the key, which must lie ahead."""
    ends = form.cleaned_data["expires_at"]
    if ends and ends <= clock.now():
        raise forms.ValidationError("Choose a time that lies ahead, or leave it empty.")
    return ends


class ApiKeyForm(forms.ModelForm):
    """A new key: the secret is made, and shown once. Of an existing one only name and limit change."""

    class Meta:
        model = ApiKey
        fields = ("name", "default_source", "scopes", "rate_limit", "expires_at")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "scopes" in self.fields:
            self.fields["scopes"] = forms.MultipleChoiceField(
                choices=ApiKey.Scope.choices,
                widget=UnfoldAdminCheckboxSelectMultipleWidget,
                initial=["ingest"],
                label="May",
                error_messages={"required": "Choose what the key may do; a key for nothing opens no door."},
            )

    def clean_expires_at(self) -> Any:
        """See _in_future."""
        return _in_future(self)


class RotateForm(forms.Form):
    """How long the old key lives on beside the new one."""

    overlap = forms.TypedChoiceField(
        label="The old key ends",
        choices=[(hours, f"After {text}" if hours else text) for hours, text in OVERLAPS.items()],
        coerce=lambda hours: timedelta(hours=int(hours)),
        initial=24,
        widget=UnfoldAdminSelectWidget,
        help_text="Until then both are taken, so that no event is refused while you change the senders.",
    )
    expires_at = forms.SplitDateTimeField(
        label="The new key expires at",
        required=False,
        widget=UnfoldAdminSplitDateTimeWidget,
        help_text="In UTC. Empty: never.",
    )

    def clean_expires_at(self) -> Any:
        """See _in_future."""
        return _in_future(self)
