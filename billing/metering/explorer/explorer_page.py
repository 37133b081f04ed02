"""The usage explorer: a meter's quantities by customer or property over time, as chart, table and file."""

from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any, cast
from urllib.parse import urlencode

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase, QueryDict, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse

from billing.charts import lines, stacked
from billing.metering.asking import Quantity
from billing.metering.explorer import csv_file
from billing.metering.explorer.forms import ExplorerForm, known_zone
from billing.metering.explorer.presets import CUSTOM
from billing.metering.explorer.table import Asked, Key, Table, table_of
from billing.metering.models import Meter
from billing.metering.months.errors import MonthDetached
from billing.metering.windows import TooManyWindows
from billing.periods import Period, local_date
from billing.pricing.words import plural
from config import clock
from customers.backoffice import quantity_text
from customers.models import Customer

SEES_USAGE = ("customers.view_customer", "billing.view_meter")
OTHER = "Other"


def explorer(request: HttpRequest, model_admin: Any) -> HttpResponseBase:
    """The page, or with `format=csv` the file."""
    if not request.user.has_perms(SEES_USAGE):
        raise PermissionDenied
    form = _form(request)
    asked = form.asked if form.is_valid() else None
    if asked and request.GET.get("format") == "csv":
        return _file(request, asked)
    problem = form.problem() if asked else ""
    answer: dict[str, Any] = {}
    if asked and not problem:
        try:
            answer = _answer(asked, form)
        except MonthDetached as error:
            problem = str(error)
    context = {
        **model_admin.admin_site.each_context(request),
        "title": "Usage",
        "form": form,
        "media": form.media,
        "meters": bool(form.data.get("meter")),
        "asked": asked,
        "problem": problem,
        "slow": form.slow,
        "dimensions": asked.meter.group_by if asked else [],
        "csv_url": f"?{_again(form)}&format=csv" if asked else "",
        "may_see_events": request.user.has_perm("billing.view_event"),
        **answer,
    }
    return TemplateResponse(request, "billing/admin/explorer.html", context)


def _form(request: HttpRequest) -> ExplorerForm:
    """The form, filled from the address, with what it leaves out as people mostly want it."""
    given = request.GET.copy()
    chosen = Customer.objects.filter(pk__in=[pk for pk in given.getlist("customers") if pk.isdecimal()][:1])
    home = next((customer.timezone for customer in chosen), "UTC") if len(given.getlist("customers")) == 1 else "UTC"
    zones = list(dict.fromkeys([home, "UTC", *filter(None, [known_zone(given.get("timezone", ""))])]))
    first = Meter.objects.filter(superseded_at=None).order_by("code").values_list("pk", flat=True).first()
    defaults = {
        "meter": str(first or ""), "preset": "this_month", "window": "day", "timezone": home, "top": "8",
        "chart": "stacked",
    }  # fmt: skip
    if given.get("first") and not given.get("preset"):
        defaults["preset"] = CUSTOM
    for name, value in defaults.items():
        if not given.get(name):
            given[name] = value
    return ExplorerForm(given, zones=zones, today=local_date(clock.now(), known_zone(str(given["timezone"])) or "UTC"))


def _again(form: ExplorerForm) -> str:
    """The question as an address."""
    given = cast(QueryDict, form.data)
    pairs = [(name, value) for name, values in given.lists() for value in values if name != "format" and value]
    return urlencode(pairs)


def address(meter: Meter, *customer_ids: int, period: Period | None = None, timezone: str = "") -> str:
    """The explorer's page of a meter, of these customers, over the local days that a period touches."""
    pairs: list[tuple[str, str]] = [("meter", str(meter.pk))]
    pairs += [("customers", str(pk)) for pk in customer_ids]
    if period and period.end:
        last = local_date(period.end - period.end.resolution, timezone)
        pairs += [("preset", CUSTOM), ("first", f"{local_date(period.start, timezone)}"), ("last", f"{last}")]
    if timezone:
        pairs.append(("timezone", timezone))
    return f"{reverse('admin:billing_usage')}?{urlencode(pairs)}"


def _answer(asked: Asked, form: ExplorerForm) -> dict[str, Any]:
    """Chart and table of the answer."""
    table = table_of(asked)
    names = _names(asked, table.keys)
    whole = [_cell(asked, key, total, asked.period) for key, total in zip(table.keys, table.totals, strict=True)]
    return {
        "table": table,
        "names": names,
        "unit": plural(asked.meter.unit, Fraction(2)),
        "everybody": quantity_text(len(asked.customer_ids)),
        "chart": _chart(asked, table, names, form.stacked),
        "rows": [
            {
                "label": row.label,
                "cells": [_cell(asked, key, cell, row.period) for key, cell in zip(table.keys, row.cells, strict=True)],
                "other": _text(row.other),
                "total": _text(row.total),
                "invalid": quantity_text(row.invalid) if row.invalid else "0",
                "invalid_url": _events_url(asked, row.period, None, only="invalid") if row.invalid else "",
            }
            for row in table.rows
        ],
        "whole": whole,
        "whole_other": _text(table.other),
        "whole_total": _text(table.total),
        "any_invalid": any(row.invalid for row in table.rows),
        "empty": not any(total.events or total.invalid or total.value for total in table.totals),
    }


def _names(asked: Asked, keys: tuple[Key, ...]) -> list[str]:
    """What stands above each column."""
    people = Customer.objects.in_bulk([customer for customer, _ in keys if customer])
    names = []
    for customer, value in keys:
        parts = [str(people[customer])] if customer else []
        parts += [f"no {asked.by}" if value is None else value or "(empty)"] if asked.by else []
        names.append(" · ".join(parts))
    return names


def _chart(asked: Asked, table: Table, names: list[str], as_stack: bool) -> dict[str, Any]:
    """The picture of the table. Names that are equal are told apart by their place."""
    labels = [row.label for row in table.rows]
    found = {
        name if names.count(name) == 1 else f"{name} ({place + 1})": [row.cells[place].value for row in table.rows]
        for place, name in enumerate(names)
    }
    if table.others and table.other_by_window:
        found[OTHER] = [row.other.value if row.other else Decimal(0) for row in table.rows]
    return stacked(labels, found) if as_stack else lines(labels, found)


def _cell(asked: Asked, key: Key, quantity: Quantity, period: Period) -> dict[str, str]:
    """A quantity with the address of the events behind it, where there are any."""
    has = quantity.events or quantity.invalid
    return {"text": quantity_text(quantity.value), "url": _events_url(asked, period, key) if has else ""}


def _text(quantity: Quantity | None) -> str:
    return quantity_text(quantity.value if quantity else None)


def _events_url(asked: Asked, period: Period, key: Key | None, only: str = "") -> str:
    """The list of events of a column in a window."""
    pairs = [("meter", str(asked.meter.pk)), ("start", period.start.isoformat()), ("end", period.until.isoformat())]
    ids = (key[0],) if key and key[0] else () if asked.everyone else asked.customer_ids
    pairs += [("customers", str(pk)) for pk in ids]
    if key and asked.by:
        pairs += [("by", asked.by), ("none", "1") if key[1] is None else ("value", key[1])]
    if only:
        pairs.append(("only", only))
    return f"{reverse('admin:billing_usage_events')}?{urlencode(pairs)}"


def _file(request: HttpRequest, asked: Asked) -> HttpResponseBase:
    """All columns and windows as CSV, written while it is computed."""
    try:
        windows = asked.windows
    except TooManyWindows as error:
        return HttpResponse(str(error), status=400, content_type="text/plain; charset=utf-8")
    content: Iterator[str] = csv_file.lines(asked, len(windows))
    name = f"usage-{asked.meter.code}-{local_date(asked.period.start, asked.timezone)}.csv"
    return StreamingHttpResponse(
        content,
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
