"""The page “Late usage”: what arrived after its cycle was billed, and what became of it; the same as a file."""

import csv
import io
from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlencode

from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from billing.invoicing.late.forms import LateForm
from billing.invoicing.late.report import Fate, Filters, Row, late_usage
from billing.invoicing.models import Invoice
from billing.metering.explorer.activity import unmatched_subjects
from billing.metering.explorer.csv_file import safe
from billing.metering.explorer.explorer_page import address
from billing.metering.months.errors import MonthDetached
from billing.money import plain
from billing.periods import Period, local_date, local_midnight, zone
from config import clock
from customers.backoffice import amount_text, change_url, quantity_text
from customers.models import Customer

SHOWN: Final = 200
"""Rows on the page; the file has all."""
WORDS: Final[dict[Fate, str]] = {
    "billed": "Billed", "approved": "Approved", "draft": "On a draft", "grace": "In time", "waiting": "Waits for a run",
    "held": "Held", "nothing": "Changes nothing",
}  # fmt: skip
KINDS: Final[dict[Fate, str]] = {
    "billed": "success", "approved": "info", "draft": "warning", "grace": "info", "waiting": "warning",
    "held": "danger", "nothing": "",
}  # fmt: skip
TITLES: Final = [
    "customer", "name", "contract", "charge", "meter", "cycle_start", "cycle_end", "billed_on", "events_came",
    "events_taken_back", "events_given_back", "quantity", "unit", "first_arrival", "last_arrival", "currency", "amount",
    "what_became_of_it", "document", "document_kind", "reason",
]  # fmt: skip


def late_page(request: HttpRequest, model_admin: Any) -> HttpResponse:
    """The page, or with `format=csv` the file."""
    if not request.user.has_perm("billing.view_invoice"):
        raise PermissionDenied
    now = clock.now()
    month = _month(request.GET.get("month", ""), now)
    after = (month + timedelta(days=32)).replace(day=1)
    asked = {"customer": request.GET.get("customer", "").strip(), "meter": request.GET.get("meter", "")}
    period = Period(local_midnight(month, "UTC"), local_midnight(after, "UTC"))
    rows, problem = _rows(Filters(period, _customers(asked["customer"]), asked["meter"]), now)
    if request.GET.get("format") == "csv" and not problem:
        return _file(rows, month)
    context = {
        **model_admin.admin_site.each_context(request),
        "title": "Late usage",
        "month": f"{month:%Y-%m}",
        "month_name": f"{month:%B %Y}",
        "asked": asked,
        "form": LateForm(asked | {"month": f"{month:%Y-%m}"}),
        "links": {
            name: "?" + urlencode({key: value for key, value in (asked | more).items() if value})
            for name, more in {
                "earlier": {"month": f"{month - timedelta(days=1):%Y-%m}"},
                "later": {"month": f"{after:%Y-%m}"},
                "csv": {"month": f"{month:%Y-%m}", "format": "csv"},
            }.items()
        },
        "problem": problem,
        "rows": [_shown(row) for row in rows[:SHOWN]],
        "more": max(len(rows) - SHOWN, 0),
        "sums": _sums(rows),
        "nobody": len(unmatched_subjects(month)),
    }
    return TemplateResponse(request, "billing/admin/late_usage.html", context)


def _month(text: str, now: datetime) -> date:
    """The month asked for, by its first day; the one before this for any other text."""
    try:
        return date.fromisoformat(f"{text}-01")
    except ValueError:
        return (local_date(now, "UTC").replace(day=1) - timedelta(days=1)).replace(day=1)


def _customers(text: str) -> tuple[int, ...] | None:
    """The customers whose name or id has a text in it; None for none asked."""
    if not text:
        return None
    found = Customer.objects.filter(Q(legal_name__icontains=text) | Q(external_id__icontains=text))
    return tuple(found.values_list("pk", flat=True))


def _rows(filters: Filters, now: datetime) -> tuple[list[Row], str]:
    """The rows, or why they cannot be told: events lie in the archive."""
    try:
        return late_usage(filters, now), ""
    except MonthDetached as error:
        return [], str(error)


def _sums(rows: Sequence[Row]) -> list[dict[str, str]]:
    """Differences by what became of them, in each currency."""
    sums: dict[tuple[Fate, str], Decimal] = defaultdict(Decimal)
    for row in rows:
        if row.amount:
            sums[row.fate, row.contract.currency] += row.amount
    return [
        {"name": WORDS[fate], "amount": amount_text(sums[key], key[1])}
        for fate in WORDS
        for key in sorted(sums)
        if key[0] == fate
    ]


def _shown(row: Row) -> dict[str, Any]:
    """A row as texts."""
    timezone, last = row.contract.timezone, row.cycle.until - timedelta(microseconds=1)
    days = f"{local_date(row.cycle.start, timezone)} – {local_date(last, timezone)}"
    counts = [("came", row.came), ("taken back", row.taken), ("given back", row.given)]
    return {
        "customer": row.customer, "customer_url": change_url(row.customer), "contract": row.contract.number,
        "name": row.name, "meter": row.meter.code if row.meter else "", "days": days,
        "usage_url": address(row.meter, row.customer.pk, period=row.cycle, timezone=timezone) if row.meter else "",
        "first": _named(row.first), "first_url": change_url(row.first),
        "events": ", ".join(f"{quantity_text(n)} {word}" for word, n in counts if n) or "none",
        "quantity": "" if row.quantity is None else quantity_text(row.quantity),
        "first_at": row.first_at, "last_at": row.last_at,
        "amount": "" if row.amount is None else amount_text(row.amount, row.contract.currency),
        "negative": bool(row.amount and row.amount < 0), "fate": WORDS[row.fate], "kind": KINDS[row.fate],
        "document": _named(row.invoice) if row.invoice else "",
        "document_url": change_url(row.invoice) if row.invoice else "",
        "reason": row.reason or ("" if row.came or row.taken or row.given else "Terms or claims changed."),
    }  # fmt: skip


def _named(invoice: Invoice) -> str:
    """A document by its kind and number, or by what it is as long as it has none."""
    return f"{invoice.get_kind_display()} {invoice.number}" if invoice.number else str(invoice).capitalize()


def _file(rows: Sequence[Row], month: date) -> HttpResponse:
    """All rows, exact, with no cell that a spreadsheet takes for a formula."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(TITLES)
    writer.writerows(_line(row) for row in rows)
    name = f'attachment; filename="late-usage-{month:%Y-%m}.csv"'
    return HttpResponse(text.getvalue(), content_type="text/csv", headers={"Content-Disposition": name})


def _line(row: Row) -> list[str]:
    where = zone(row.contract.timezone)
    return [
        safe(row.customer.external_id), safe(row.customer.legal_name), safe(row.contract.number), safe(row.name),
        row.meter.code if row.meter else "", row.cycle.start.astimezone(where).isoformat(),
        row.cycle.until.astimezone(where).isoformat(), row.first.number or str(row.first), str(row.came),
        str(row.taken), str(row.given), "" if row.quantity is None else plain(row.quantity), safe(row.unit),
        row.first_at.isoformat() if row.first_at else "", row.last_at.isoformat() if row.last_at else "",
        row.contract.currency, "" if row.amount is None else plain(row.amount), WORDS[row.fate],
        (row.invoice.number or str(row.invoice)) if row.invoice else "",
        row.invoice.get_kind_display() if row.invoice else "", safe(row.reason),
    ]  # fmt: skip
