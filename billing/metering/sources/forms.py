"""Forms of uploads and pull sources; the form of columns makes the mapping that `import_usage` knows."""

from collections.abc import Sequence
from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.conf import settings
from unfold.widgets import (
    UnfoldAdminFileFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from billing.metering.csv_mapping import from_mapping
from billing.metering.errors import ImportMappingError
from billing.metering.sources.addresses import check_folder, check_query, check_secrets
from billing.metering.sources.errors import SourceError
from billing.metering.sources.guessing import Column
from billing.metering.sources.models import PullSource
from billing.metering.sources.tables import ENDINGS

ROLES = [
    ("time", "Time of the event"),
    ("subject", "Subject (whose)"),
    ("type", "Type of event"),
    ("id", "Id of the row"),
    ("property", "Property"),
    ("none", "Not used"),
]
KINDS = [("auto", "As written"), ("number", "Number"), ("string", "Text")]
ONCE = ("time", "subject", "type", "id")
DELIMITERS = [(",", "Comma"), (";", "Semicolon"), ("\t", "Tab"), ("|", "Bar |")]


class UploadForm(forms.Form):
    """The file."""

    file = forms.FileField(
        label="File",
        widget=UnfoldAdminFileFieldWidget(attrs={"accept": ",".join(ENDINGS)}),
        help_text="CSV in UTF-8 (commas, semicolons or tabs) or an Excel workbook (.xlsx). The first line names the"
        " columns.",
        error_messages={"empty": "The file is empty; its first line must name the columns, and rows must follow."},
    )

    def clean_file(self) -> Any:
        """Neither too large nor something else."""
        file, limit = self.cleaned_data["file"], settings.METERBOOK_UPLOAD_LIMIT_BYTES
        if file.size > limit:
            raise forms.ValidationError(
                f"The file has {file.size:,} bytes; at most {limit:,} can be uploaded. Split it, or import it on the"
                " server with import_usage."
            )
        return file


class ReadingForm(forms.Form):
    """How an uploaded file is read: the delimiter of a CSV file, or the sheet of a workbook."""

    delimiter = forms.ChoiceField(label="Cells are parted by", required=False, widget=UnfoldAdminSelectWidget)
    sheet = forms.ChoiceField(required=False, widget=UnfoldAdminSelectWidget)

    def __init__(self, *args: Any, sheets: Sequence[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["delimiter"].choices = DELIMITERS  # type: ignore[attr-defined]
        self.fields["sheet"].choices = [(each, each) for each in sheets]  # type: ignore[attr-defined]
        del self.fields["delimiter" if sheets else "sheet"]


class ColumnsForm(forms.Form):
    """What each column is. `mapping` holds the result, in the form that `CsvMapping` is made from."""

    subject = forms.CharField(
        label="Subject of every row", required=False, widget=UnfoldAdminTextInputWidget,
        help_text="When no column says whose usage it is.",
    )  # fmt: skip
    event_type = forms.CharField(
        label="Type of every row", required=False, widget=UnfoldAdminTextInputWidget,
        help_text="When no column says what happened; meters choose events by it.",
    )  # fmt: skip
    zone = forms.CharField(
        label="Time zone", widget=UnfoldAdminTextInputWidget, initial="UTC",
        help_text="Of times that carry none, e.g. UTC or Europe/Berlin.",
    )  # fmt: skip
    ids = forms.ChoiceField(label="Without an id column", widget=UnfoldAdminSelectWidget, required=False)
    source = forms.CharField(
        label="Source", widget=UnfoldAdminTextInputWidget, max_length=600,
        help_text="The system that the rows come from. Rows with the same id count once within a source.",
    )  # fmt: skip

    def __init__(
        self, *args: Any, header: Sequence[str], guesses: Sequence[Column], row_ids: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.header = header
        self.mapping: dict[str, Any] = {}
        by_row = [("row", "Its place in the file: a longer export adds its new rows")] if row_ids else []
        choices = [*by_row, ("content", "Its content: equal rows count once, in any order")]
        self.fields["ids"].choices = choices  # type: ignore[attr-defined]
        for place, (column, given) in enumerate(zip(header, guesses, strict=True)):
            self.fields[f"role_{place}"] = forms.ChoiceField(
                choices=ROLES, initial=given.role, label=f"What {column} is", widget=UnfoldAdminSelectWidget
            )
            self.fields[f"name_{place}"] = forms.CharField(
                required=False, initial=given.name or column, label=f"Property for {column}", max_length=200,
                widget=UnfoldAdminTextInputWidget,
            )  # fmt: skip
            self.fields[f"kind_{place}"] = forms.ChoiceField(
                choices=KINDS, initial=given.kind, label=f"Kind of {column}", widget=UnfoldAdminSelectWidget
            )

    def columns(self) -> list[dict[str, Any]]:
        """For the page: each column with its three fields."""
        return [
            {
                "name": column,
                "role": self[f"role_{place}"],
                "property": self[f"name_{place}"],
                "kind": self[f"kind_{place}"],
            }
            for place, column in enumerate(self.header)
        ]

    def others(self) -> list[Any]:
        """For the page: the fields that concern every row."""
        return [self[name] for name in ("subject", "event_type", "zone", "ids", "source")]

    def clean_zone(self) -> str:
        """A zone that exists."""
        zone: str = self.cleaned_data["zone"].strip()
        if zone not in available_timezones():
            raise forms.ValidationError(f"{zone} is no time zone; write UTC, or a name such as Europe/Berlin.")
        return zone

    def clean(self) -> dict[str, Any]:
        """One column for each role, and a mapping that holds together."""
        values = super().clean() or self.cleaned_data
        roles: dict[str, str] = {}
        data: dict[str, Any] = {}
        for place, column in enumerate(self.header):
            role, name = values.get(f"role_{place}", "none"), values.get(f"name_{place}", "").strip()
            if role in ONCE and role in roles:
                self.add_error(f"role_{place}", f"{roles[role]} is the {role} already; only one column can be.")
            elif role in ONCE:
                roles[role] = column
            elif role == "property" and (why := _name_problem(name, data)):
                self.add_error(f"name_{place}", why)
            elif role == "property":
                data[name] = {"column": column, "kind": values.get(f"kind_{place}", "auto")}
        self._constants(values, roles)
        if not self.errors:
            self._make(values, roles, data)
        return values

    def _constants(self, values: dict[str, Any], roles: dict[str, str]) -> None:
        """Time is a column; subject and type are a column or a constant, and an id comes from somewhere."""
        if "time" not in roles:
            self.add_error(None, "No column is the time of the event; choose the one that says when it happened.")
        for role, field in (("subject", "subject"), ("type", "event_type")):
            if role in roles and values.get(field):
                self.add_error(field, f"The column {roles[role]} is the {role} already; leave this empty.")
            if role not in roles and not values.get(field):
                self.add_error(field, f"No column is the {role}; choose one above, or name it here for every row.")
        if "id" not in roles and not values.get("ids"):
            self.add_error("ids", "Choose a column as the id, or what makes the ids.")

    def _make(self, values: dict[str, Any], roles: dict[str, str], data: dict[str, Any]) -> None:
        """The mapping, held against the code that reads it."""
        constants = {"subject": values.get("subject"), "type": values.get("event_type")}
        mapping = {
            "columns": roles,
            "constants": {role: text.strip() for role, text in constants.items() if text},
            "data": data,
            "zone": values["zone"],
            "ids": "column" if "id" in roles else values["ids"],
            "source": values["source"].strip(),
        }
        try:
            from_mapping(mapping, "The mapping").data_columns(list(self.header))
        except ImportMappingError as error:
            self.add_error(None, str(error))
        else:
            self.mapping = mapping


def initial_of(mapping: dict[str, Any], source: str) -> dict[str, Any]:
    """What the fields for every row begin with: those of an earlier mapping, or the house's."""
    constants = mapping.get("constants", {})
    return {
        "subject": constants.get("subject", ""),
        "event_type": constants.get("type", ""),
        "zone": mapping.get("zone") or "UTC",
        "ids": mapping.get("ids") or "row",
        "source": source,
    }


def _name_problem(name: str, taken: dict[str, Any]) -> str:
    """What is wrong with a property's name, if anything."""
    if not name:
        return "Name the property, or do not use the column."
    if "." in name:
        return f"Meters read a point as a path; write {name.replace('.', '_')}."
    return f"Another column is {name} already; give this one another name." if name in taken else ""


class PullSourceForm(forms.ModelForm):
    """Where usage is fetched from, and how often."""

    class Meta:
        model = PullSource
        fields = (
            "name", "kind", "address", "options", "query", "cursor_column", "position", "every", "unit", "next_due_at",
            "silent_after_hours",
        )  # fmt: skip
        widgets = {
            "query": UnfoldAdminTextareaWidget(attrs={"rows": 4}),
            "options": UnfoldAdminTextareaWidget(attrs={"rows": 2}),
            "position": UnfoldAdminTextInputWidget,
        }

    def clean(self) -> dict[str, Any]:
        """An address that may be used, without secrets in it; each problem at its field."""
        values = super().clean() or self.cleaned_data
        address = values.get("address")
        if address is None:
            return values
        values["options"] = values.get("options") or {}
        self._hold("address", check_secrets, address, values["options"])
        if values.get("kind", self.instance.kind) == PullSource.Kind.FILES:  # it is no field once it stands
            self._hold("address", check_folder, address)
            return values | {"query": "", "cursor_column": "", "position": ""}
        if not values.get("query"):
            self.add_error("query", "Write the query, e.g. SELECT … WHERE id > :position ORDER BY id.")
        else:
            self._hold("query", check_query, address, values["query"])
        for field, why in (
            ("cursor_column", "Name the column that the query is ordered by."),
            ("position", "Say where to begin, e.g. 0 or 2026-01-01."),
        ):
            if not values.get(field):
                self.add_error(field, why)
        return values

    def _hold(self, field: str, check: Any, *given: Any) -> None:
        try:
            check(*given)
        except SourceError as error:
            self.add_error(field, str(error))
