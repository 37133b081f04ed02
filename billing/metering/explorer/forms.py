"""What people ask the explorer, the search and the list of events."""

from datetime import date
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AutocompleteSelectMultiple
from django.db.models import Q
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from billing.metering.explorer.presets import CUSTOM, PRESETS, WINDOWS, days_of, period_of
from billing.metering.explorer.table import Asked, too_much
from billing.metering.models import Meter
from billing.metering.properties import path_problem
from billing.metering.windows import TooManyWindows
from billing.periods import UnknownTimezone, zone
from customers.models import Customer, UsageSubject

LOOK = {"data-theme": "admin-autocomplete", "class": "unfold-admin-autocomplete admin-autocomplete"}
DATE = {"type": "date"}


class _Customers(AutocompleteSelectMultiple):
    """Says what no choice means, where Django leaves the box blank."""

    def build_attrs(self, base_attrs: dict[str, Any], extra_attrs: dict[str, Any] | None = None) -> dict[str, Any]:
        """With the placeholder."""
        return super().build_attrs(base_attrs, extra_attrs) | {"data-placeholder": "All customers"}


class ExplorerForm(forms.Form):
    """Customers, meter, period, window and what to group by; `asked` is the question once the form is valid."""

    customers = forms.ModelMultipleChoiceField(
        Customer.objects.all(), required=False, help_text="Empty: all customers, the largest first."
    )
    meter = forms.ModelChoiceField(Meter.objects.all(), widget=UnfoldAdminSelectWidget, empty_label=None)
    preset = forms.ChoiceField(label="Period", choices=PRESETS, widget=UnfoldAdminSelectWidget)
    first = forms.DateField(
        label="From", required=False, widget=UnfoldAdminTextInputWidget(attrs=DATE), help_text="With “Dates” as period."
    )
    last = forms.DateField(label="To (inclusive)", required=False, widget=UnfoldAdminTextInputWidget(attrs=DATE))
    window = forms.ChoiceField(label="By", choices=WINDOWS, widget=UnfoldAdminSelectWidget)
    by = forms.CharField(
        label="Group by",
        required=False,
        help_text="Any property; the meter’s own are quick.",
        max_length=200,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "customer", "list": "dimensions"}),
    )
    timezone = forms.ChoiceField(label="Time zone", widget=UnfoldAdminSelectWidget)
    top = forms.TypedChoiceField(
        label="Show", coerce=int, choices=[(n, f"Top {n}") for n in (8, 5, 3)], widget=UnfoldAdminSelectWidget
    )
    chart = forms.ChoiceField(choices=[("stacked", "Stacked"), ("lines", "Lines")], widget=UnfoldAdminSelectWidget)

    def __init__(self, given: Any, *, zones: list[str], today: date) -> None:
        super().__init__(given)
        self.today = today
        self.asked: Asked | None = None
        field = UsageSubject._meta.get_field("customer")
        choices = self.fields["customers"].choices  # type: ignore[attr-defined]  # a ModelMultipleChoiceField
        self.fields["customers"].widget = _Customers(field, admin.site, attrs=LOOK, choices=choices)
        chosen = Q(pk=given["meter"]) if str(given.get("meter", "")).isdecimal() else Q()
        current = Q(superseded_at=None)
        self.fields["meter"].queryset = Meter.objects.filter(current | chosen if chosen else current)  # type: ignore[attr-defined]
        self.fields["timezone"].choices = [(name, name) for name in zones]  # type: ignore[attr-defined]

    def clean_by(self) -> str:
        """A path to a property, or nothing."""
        by = str(self.cleaned_data["by"]).strip()
        if by and (problem := path_problem(by)):
            raise forms.ValidationError(problem)
        return by

    def clean(self) -> dict[str, Any]:
        """The period from the preset or the dates, and whether a page can show what is asked."""
        values = super().clean() or self.cleaned_data
        if values.get("preset") == CUSTOM:
            for name in ("first", "last"):
                if not values.get(name) and name not in self.errors:
                    self.add_error(name, "Give a date.")
        if self.errors:
            return values
        days = (
            days_of(values["preset"], self.today) if values["preset"] != CUSTOM else (values["first"], values["last"])
        )
        if days[1] < days[0] or days[1].year == 9999:
            raise forms.ValidationError("The period ends before it begins." if days[1] < days[0] else "Too far ahead.")
        self.asked = self._asked(values, days)
        return values

    def problem(self) -> str:
        """Why a page cannot show the question, though a file could; empty when it can."""
        assert self.asked is not None
        try:
            return too_much(self.asked)
        except TooManyWindows as error:
            return str(error)

    def _asked(self, values: dict[str, Any], days: tuple[date, date]) -> Asked:
        chosen = [customer.pk for customer in values["customers"]]
        everyone = [] if chosen else list(Customer.objects.order_by("pk").values_list("pk", flat=True))
        return Asked(
            meter=values["meter"], customer_ids=tuple(chosen or everyone), everyone=not chosen,
            period=period_of(*days, values["timezone"]), window=values["window"], timezone=values["timezone"],
            by=values["by"], top=values["top"],
        )  # fmt: skip

    @property
    def slow(self) -> bool:
        """Whether the answer is read from the events one by one."""
        return bool(self.asked and self.asked.by and self.asked.by not in self.asked.meter.group_by)

    @property
    def stacked(self) -> bool:
        """Whether quantities stand on top of each other: only where they add up (R2.3)."""
        return bool(self.asked and self.asked.additive) and self.cleaned_data["chart"] == "stacked"


def known_zone(name: str) -> str | None:
    """The name when it names a time zone."""
    try:
        return str(zone(name))
    except UnknownTimezone:
        return None


class SearchForm(forms.Form):
    """An event's id, or a part of a subject."""

    q = forms.CharField(
        label="Event id, or part of a subject",
        max_length=1000,
        strip=True,
        required=False,
        widget=UnfoldAdminTextInputWidget(attrs={"type": "search", "placeholder": "req-8213 or acme"}),
    )
