"""Fields of the meter form: filters in rows, and lists of properties."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from unfold.widgets import INPUT_CLASSES, SELECT_CLASSES

from billing.metering.meters.rows import CONDITIONS, Row, RowError, filters_of, listed, rows_of, values_of

_BLANK_ROWS = 2


class FilterRows(forms.Widget):
    """A row for each condition: property, condition, values; two blank ones to fill in."""

    template_name = "billing/admin/filter_rows.html"

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        """With the rows and the words of their conditions."""
        rows = rows_of(value) if isinstance(value, dict) else list(value or [])
        return super().get_context(name, None, attrs) | {
            "rows": [*rows, *(Row("") for _ in range(_BLANK_ROWS))],
            "conditions": CONDITIONS,
            "input_classes": " ".join(INPUT_CLASSES),
            "select_classes": " ".join(SELECT_CLASSES),
        }

    def render(self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None) -> SafeString:
        """Drawn by the project's own template, which the renderer of forms does not see."""
        return render_to_string(self.template_name, self.get_context(name, value, attrs))

    def value_from_datadict(self, data: Any, files: Any, name: str) -> list[Row] | None:
        """The rows as typed."""
        columns = [data.getlist(f"{name}-{part}") for part in ("property", "condition", "values")]
        return [Row(*cells) for cells in zip(*columns, strict=False)]

    def value_omitted_from_data(self, data: Mapping[str, Any], files: Any, name: str) -> bool:
        """Whether the form had no rows at all."""
        return f"{name}-property" not in data


class FiltersField(forms.Field):
    """Filters, as a meter keeps them."""

    widget = FilterRows

    def to_python(self, value: Any) -> dict[str, Any]:
        """What the rows say."""
        try:
            return filters_of(value or [])
        except RowError as error:
            raise forms.ValidationError(str(error)) from None

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether the rows say something else."""
        try:
            return filters_of(data or []) != (initial or {})
        except RowError:
            return True


class PropertiesField(forms.CharField):
    """Properties apart by commas, as a list."""

    def prepare_value(self, value: Any) -> Any:
        """The list as text."""
        return listed(value) if isinstance(value, list) else value

    def clean(self, value: Any) -> Any:
        """The properties named."""
        try:
            return [str(name) for name in values_of(super().clean(value))]
        except RowError as error:
            raise forms.ValidationError(str(error)) from None

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether other properties are named."""
        return super().has_changed(self.prepare_value(initial), data)
