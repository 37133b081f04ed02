"""The form that says which events a correction means, what it does to them, and why."""

import json
from decimal import Decimal
from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from billing.metering.corrections.criteria import Changes, Criteria, read_changes, read_criteria
from billing.metering.corrections.errors import CriteriaError


def _text(label: str, help_text: str = "", **attrs: str) -> forms.CharField:
    widget = UnfoldAdminTextInputWidget(attrs=attrs)
    return forms.CharField(label=label, required=False, widget=widget, help_text=help_text)


def _area(label: str, help_text: str, rows: int = 2, required: bool = False) -> forms.CharField:
    widget = UnfoldAdminTextareaWidget(attrs={"rows": rows})
    return forms.CharField(label=label, required=required, widget=widget, help_text=help_text)


class CorrectionForm(forms.Form):
    """Criteria, changes and the reason; `criteria` and `changes` after it was found valid."""

    kind = forms.ChoiceField(
        label="What to do",
        choices=[("void", "Void: let them count no more"), ("replace", "Replace: let changed copies count instead")],
        widget=UnfoldAdminSelectWidget,
    )
    source = _text("Source", "The system that sent them; needed with ids.")
    ids = _area("Ids", "One a line. Leave empty to mean all events that meet the rest.")
    subject = _text("Subject")
    type = _text("Type")
    start = _text("From", "In UTC, e.g. 2026-03-01T00:00:00Z.", placeholder="2026-03-01T00:00:00Z")
    end = _text("Until", "Just before this instant.", placeholder="2026-04-01T00:00:00Z")
    filters = _text("Properties", 'As a meter’s filters, e.g. {"region": ["eu", "us"]}.')
    new_subject = _text("New subject", "To replace only. What is left empty stays as it is.")
    new_type = _text("New type")
    new_time = _text("New time")
    new_data = _text("New properties", 'Properties to set, e.g. {"tokens": 5}; null removes one.')
    reason = _area("Reason", "Kept with the correction: who reads the invoice later will ask.", required=True)

    criteria: Criteria
    changes: Changes | None = None

    def clean(self) -> dict[str, Any]:
        """Read both, and lead to the field at fault."""
        given = super().clean() or self.cleaned_data
        if self.errors:
            return given
        names = {"source", "subject", "type", "start", "end"}
        try:
            asked: dict[str, Any] = {name: given[name] for name in names if given[name]}
            asked["ids"] = given["ids"].split()
            asked["filters"] = self._json("filters")
            self.criteria = read_criteria(asked)
        except CriteriaError as error:
            self.add_error(error.field if error.field in self.fields else None, str(error))
            return given
        if given["kind"] == "replace":
            try:
                self.changes = read_changes({
                    "subject": given["new_subject"], "type": given["new_type"], "time": given["new_time"],
                    "data": self._json("new_data"),
                })  # fmt: skip
            except CriteriaError as error:
                field = f"new_{error.field}"
                self.add_error(field if field in self.fields else None, str(error))
        return given

    def _json(self, name: str) -> Any:
        """An object, with exact numbers; CriteriaError for what is none."""
        text = self.cleaned_data[name].strip()
        try:
            return json.loads(text, parse_float=Decimal) if text else {}
        except ValueError:
            field = name.removeprefix("new_")
            raise CriteriaError(field, f"{text!r} is no JSON; check its quotes and braces.") from None
