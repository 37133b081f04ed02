"""The form of a claim."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AutocompleteSelect
from unfold.widgets import UnfoldAdminTextInputWidget

from customers.models import Customer, UsageSubject


class ClaimForm(forms.Form):
    """Whose events carry a subject."""

    subject = forms.CharField(max_length=1000, widget=UnfoldAdminTextInputWidget(attrs={"readonly": True}))
    customer = forms.ModelChoiceField(Customer.objects.all())
    valid_from = forms.DateField(
        label="From",
        required=False,
        widget=UnfoldAdminTextInputWidget(attrs={"type": "date"}),
        help_text="In UTC. Empty: since ever.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = UsageSubject._meta.get_field("customer")
        choices = self.fields["customer"].choices  # type: ignore[attr-defined]  # a ModelChoiceField
        look = {"data-theme": "admin-autocomplete", "class": "unfold-admin-autocomplete admin-autocomplete"}
        self.fields["customer"].widget = AutocompleteSelect(field, admin.site, attrs=look, choices=choices)
