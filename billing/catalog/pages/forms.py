"""Forms of a version's buttons, and of the pages that compare and import."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from django import forms
from django.http import HttpRequest
from unfold.forms import BaseDialogForm
from unfold.widgets import (
    UnfoldAdminFileFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from billing.catalog import services
from billing.catalog.errors import CatalogError
from billing.catalog.models import PlanVersion
from config import clock

LARGEST = 1_000_000
"""Bytes of a plan file: far beyond any plan that people read."""


class PublishForm(BaseDialogForm):
    """What deserves a second look, and why it is right all the same, asked only where there is something."""

    form_before_template = "billing/admin/publish_warnings.html"
    reason = forms.CharField(
        max_length=500,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}),
        help_text="Why it is right all the same. It is kept with the version.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.warnings: list[str] = []
        self.refusal = ""
        try:
            version = PlanVersion.objects.select_related("plan__product").get(pk=self.object_id)
            self.warnings = services.check(version=version, now=clock.now())
        except CatalogError as error:
            self.refusal = str(error)
        if not self.warnings:
            del self.fields["reason"]

    def get_before_template_context(self, request: HttpRequest, object_id: int | str | None = None) -> dict[str, Any]:
        """The warnings as a list, or what forbids publication."""
        return {"warnings": self.warnings, "refusal": self.refusal}


class ScheduleForm(PublishForm):
    """When a draft is to be published by itself."""

    day = forms.DateField(label="Day", widget=UnfoldAdminTextInputWidget(attrs={"type": "date"}))
    time = forms.TimeField(label="Time", initial="00:00", widget=UnfoldAdminTextInputWidget(attrs={"type": "time"}))
    zone = forms.CharField(
        label="Time zone",
        initial="UTC",
        widget=UnfoldAdminTextInputWidget(),
        help_text="UTC, or a name such as Europe/Berlin.",
    )
    field_order = ("day", "time", "zone", "reason")

    def clean_zone(self) -> str:
        """A zone that exists."""
        zone: str = self.cleaned_data["zone"].strip()
        if zone not in available_timezones():
            raise forms.ValidationError(f"{zone} is no time zone: write UTC, or a name such as Europe/Berlin.")
        return zone

    def at(self) -> datetime:
        """The chosen instant; a time that a clock change skips is the one that it becomes."""
        values = self.cleaned_data
        return datetime.combine(values["day"], values["time"], ZoneInfo(values["zone"]))

    def clean(self) -> dict[str, Any]:
        """It is still to come."""
        values = super().clean() or self.cleaned_data
        if {"day", "time", "zone"} <= values.keys() and self.at() <= clock.now():
            self.add_error("day", "This lies in the past: choose a time that is still to come.")
        return values


class CompareForm(forms.Form):
    """Two versions, of one plan or of two."""

    old = forms.ChoiceField(label="From", required=False, widget=UnfoldAdminSelectWidget())
    new = forms.ChoiceField(label="To", widget=UnfoldAdminSelectWidget())

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        groups: dict[str, list[tuple[str, str]]] = {}
        rows = PlanVersion.objects.order_by("plan__name", "plan__code", "-number")
        for pk, number, state, name, code in rows.values_list("pk", "number", "state", "plan__name", "plan__code"):
            suffix = "" if state == "published" else f" ({state})"
            groups.setdefault(f"{name} ({code})", []).append((str(pk), f"{name} v{number}{suffix}"))
        choices: list[Any] = list(groups.items())
        for name, first in (("old", [("", "Nothing: all of it")]), ("new", [])):
            field = self.fields[name]
            assert isinstance(field, forms.ChoiceField)
            field.choices = [*first, *choices]


class ImportForm(forms.Form):
    """A plan file, chosen or pasted."""

    file = forms.FileField(
        required=False,
        widget=UnfoldAdminFileFieldWidget(attrs={"accept": ".json,application/json"}),
        help_text="As “Download” writes it, or written by hand: docs/formats.md, “A plan”.",
    )
    text = forms.CharField(
        label="Or paste it",
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 12, "style": "font-family: ui-monospace, monospace"}),
    )

    def clean(self) -> dict[str, Any]:
        """The text of the file, in `text`."""
        values = super().clean() or self.cleaned_data
        file = values.get("file")
        if file:
            if file.size > LARGEST:
                self.add_error("file", "The file has more than 1 MB: a plan is smaller.")
                return values
            try:
                values["text"] = file.read().decode("utf-8-sig")
            except UnicodeDecodeError as error:
                self.add_error("file", f"The file is not UTF-8 at byte {error.start}: encode it as UTF-8.")
        elif not values.get("text"):
            self.add_error("file", "Choose a file, or paste its text.")
        return values
