"""The usage behind an invoice as a CSV file, in pieces: exact decimals, and no cell that a spreadsheet computes."""

import csv
import io
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Final

from django.http import StreamingHttpResponse
from django.utils.text import get_valid_filename

from billing.invoicing.behind.queries import MOST_DIMENSIONS, Behind, usage_behind
from billing.invoicing.models import Invoice, InvoiceLine
from billing.metering.explorer.csv_file import safe

LINES: Final = 20  # whose usage is held at once
HEAD: Final = (
    "invoice", "line", "description", "contract", "meter", "day",
    *(f"{name}_{place}" for place in range(1, MOST_DIMENSIONS + 1) for name in ("dimension", "value")),
    "quantity", "unit", "events",
)  # fmt: skip


def usage_csv(invoice: Invoice) -> Iterator[str]:
    """A row for each line, day and values of dimensions with usage, as it was known when the line was computed.

    Days are those of the contract's zone. Only this invoice's lines are told. MonthDetached, at the first piece where
    it can be, when a month lies in the archive.
    """
    yield _text([HEAD])
    lines = invoice.lines.filter(kind=InvoiceLine.Kind.USAGE).select_related("stream__contract").order_by("position")
    for place in range(0, lines.count(), LINES):
        for behind in usage_behind(lines[place : place + LINES]).values():
            yield _text(_rows(invoice, behind))


def usage_file(invoice: Invoice) -> StreamingHttpResponse:
    """The file as a download: `usage-INV-000001.csv`. MonthDetached as long as the answer can still say so."""
    pieces = usage_csv(invoice)
    begun = list(islice(pieces, 2))
    name = f"usage-{get_valid_filename(invoice.number or f'draft-{invoice.pk}')}.csv"
    disposition = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingHttpResponse(chain(begun, pieces), content_type="text/csv; charset=utf-8", headers=disposition)


def _rows(invoice: Invoice, behind: Behind) -> list[list[str]]:
    line = behind.line
    start = [
        safe(invoice.number or ""), str(line.position), safe(line.description), safe(line.stream.contract.number),
        safe(behind.meter.code),
    ]  # fmt: skip
    empty = [""] * (2 * (MOST_DIMENSIONS - len(behind.dimensions)))
    rows = []
    for row in behind.rows:
        pairs = zip(behind.dimensions, row.values, strict=True)
        named = [text for name, value in pairs for text in (safe(name), safe(value or ""))]
        end = [f"{row.quantity:f}", safe(behind.unit), str(row.events)]
        rows.append([*start, row.day.isoformat(), *named, *empty, *end])
    return rows


def _text(rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()
