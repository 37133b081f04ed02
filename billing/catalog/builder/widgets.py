"""Widgets of the plan builder, drawn without templates: a version of thirty charges has five hundred of them."""

from typing import Any

from django import forms
from django.contrib.admin.widgets import AutocompleteSelect
from django.forms.utils import flatatt
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from billing.metering.models import Meter


class TextInput(forms.TextInput):
    """A line of text."""

    def _render(self, template_name: str, context: dict[str, Any], renderer: Any = None) -> SafeString:
        widget = context["widget"]
        attributes = {"type": widget["type"], "name": widget["name"], "value": widget["value"], **widget["attrs"]}
        return format_html(
            "<input{}>", flatatt({name: value for name, value in attributes.items() if value is not None})
        )


class NumberInput(TextInput):
    """A whole number."""

    input_type = "number"


class Textarea(forms.Textarea):
    """Several lines of text."""

    def _render(self, template_name: str, context: dict[str, Any], renderer: Any = None) -> SafeString:
        widget = context["widget"]
        attributes = flatatt({"name": widget["name"], **widget["attrs"]})
        return format_html("<textarea{}>\n{}</textarea>", attributes, widget["value"] or "")


class Select(forms.Select):
    """A choice without groups."""

    def _render(self, template_name: str, context: dict[str, Any], renderer: Any = None) -> SafeString:
        return _select(context["widget"])


class MeterSelect(AutocompleteSelect):
    """A search for meters, which knows the chosen one already: a page of many charges asks the database no more."""

    chosen: Meter | None = None

    def optgroups(self, name: str, value: Any, attrs: Any = None) -> list[Any]:
        """The chosen meter as the only option, where it is the charge's."""
        if self.chosen is None or list(value) != [str(self.chosen.pk)]:
            return super().optgroups(name, value, attrs) if any(value) else [(None, [self._option(name)], 0)]
        options = [self._option(name), self._option(name, self.chosen)]
        return [(None, options, 0)]

    def _option(self, name: str, meter: Meter | None = None) -> dict[str, Any]:
        key, label = (meter.pk, str(meter)) if meter else ("", "")
        return self.create_option(name, key, label, bool(meter), 0)

    def _render(self, template_name: str, context: dict[str, Any], renderer: Any = None) -> SafeString:
        return _select(context["widget"])


def _select(widget: dict[str, Any]) -> SafeString:
    options = (
        (each["value"], flatatt(each["attrs"]), each["label"]) for _, group, _ in widget["optgroups"] for each in group
    )
    return format_html(
        "<select{}>{}</select>",
        flatatt({"name": widget["name"], **widget["attrs"]}),
        format_html_join("", '<option value="{}"{}>{}</option>', options),
    )
