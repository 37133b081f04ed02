"""Forms of meters and claims."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AutocompleteSelect
from unfold.widgets import UnfoldAdminTextInputWidget

from billing.metering.errors import MeterError
from billing.metering.meters import check_meter
from billing.metering.models import METER_DEFINITION, Meter
from customers.models import Customer, UsageSubject


class MeterForm(forms.ModelForm):
    """A meter that can count: checked by the code that counts."""

    class Meta:
        model = Meter
        fields = "__all__"  # noqa: DJ007  the page says which

    def clean(self) -> dict[str, Any]:
        """Each problem at its field."""
        values = super().clean() or self.cleaned_data
        empty: dict[str, Any] = {"filters": {}, "group_by": []}
        values |= {name: blank for name, blank in empty.items() if name in values and values[name] is None}
        if "event_type" in self.errors or "aggregation" in self.errors:
            return values
        given = Meter(**{name: values.get(name, getattr(self.instance, name)) for name in METER_DEFINITION})
        try:
            check_meter(given)
        except MeterError as error:
            for field, text in error.problems.items():
                self.add_error(field if field in self.fields else None, text)
        return values


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
