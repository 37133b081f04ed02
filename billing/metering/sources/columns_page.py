"""The page on which a person says what the columns of a table are, and sees the first rows as they would be read."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.template.response import TemplateResponse

from billing.metering.sources import preview
from billing.metering.sources.forms import ColumnsForm, initial_of
from billing.metering.sources.guessing import Column, guess, remembered
from billing.metering.sources.tables import Table
from config import clock
from customers.backoffice import OfficeAdmin


@dataclass(frozen=True)
class About:
    """What the page is about: the record, the mapping it begins with, and how to go on."""

    record: Any
    title: str
    mapping: dict[str, Any]
    source: str
    submit: str
    note: str
    back: str
    row_ids: bool = True
    reading: Any = None


def answer(request: HttpRequest, page: OfficeAdmin, table: Table, about: About) -> dict[str, Any] | TemplateResponse:
    """The mapping that was chosen, once it holds together and “go” was pressed; else the page."""
    form = _form(request, table, about)
    chosen = form.is_valid() if form.is_bound else False
    if chosen and "go" in request.POST:
        return form.mapping
    mapping = form.mapping if chosen else {} if form.is_bound else _proposed(table, form)
    context = {
        **page.admin_site.each_context(request),
        "title": about.title,
        "opts": page.opts,
        "original": about.record,
        "about": about,
        "form": form,
        "columns": list(zip(form.columns(), preview.samples(table), strict=True)),
        "rows": preview.as_read(table, mapping, clock.now()) if mapping else [],
        "media": page.media,
    }
    return TemplateResponse(request, "billing/admin/columns.html", context)


def _form(request: HttpRequest, table: Table, about: About) -> ColumnsForm:
    """The form, filled by what was sent, or by an earlier mapping, or by what the names suggest."""
    fits = _used(about.mapping) <= set(table.header) and bool(about.mapping)
    guesses: Sequence[Column] = remembered(table.header, about.mapping) if fits else guess(table.header)
    initial = initial_of(about.mapping if fits else {}, about.source)
    sent = request.POST if "zone" in request.POST else None
    return ColumnsForm(sent, header=table.header, guesses=guesses, row_ids=about.row_ids, initial=initial)


def _used(mapping: dict[str, Any]) -> set[str]:
    """The columns that a mapping names."""
    return {*mapping.get("columns", {}).values(), *(each["column"] for each in mapping.get("data", {}).values())}


def _proposed(table: Table, form: ColumnsForm) -> dict[str, Any]:
    """The mapping that the page begins with, where it holds together by itself."""
    given = {name: form.get_initial_for_field(field, name) or "" for name, field in form.fields.items()}
    guesses = [
        Column(given[f"role_{place}"], given[f"name_{place}"], given[f"kind_{place}"])
        for place in range(len(table.header))
    ]
    trial = ColumnsForm(given, header=table.header, guesses=guesses)
    return trial.mapping if trial.is_valid() else {}
