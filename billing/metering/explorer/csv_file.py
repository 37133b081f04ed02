"""An answer of the explorer as CSV, in pieces: exact decimals, and no cell that a spreadsheet takes for a formula."""

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any, Final

from billing.metering.explorer.table import Asked
from billing.metering.queries import UsageRow
from billing.periods import zone
from customers.models import Customer

QUESTIONS: Final = 10_000
"""Customers × windows asked for at once."""

FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


def safe(text: str) -> str:
    """A text as it is, or behind an apostrophe where a spreadsheet would compute it."""
    return f"'{text}" if text.startswith(FORMULA) else text


def lines(asked: Asked, windows: int) -> Iterator[str]:
    """The file, a chunk of customers at a time: a row for each window, customer and value that has events."""
    yield _lines([["start", "window", "customer", "name", *asked.dimensions, "quantity", "unit", "events", "invalid"]])
    step = max(1, QUESTIONS // max(1, windows))
    for place in range(0, len(asked.customer_ids), step):
        ids = asked.customer_ids[place : place + step]
        people = Customer.objects.in_bulk(ids)
        rows = asked.rows(ids, asked.window)
        yield _lines([_row(asked, row, people[row.customer_id]) for row in sorted(rows, key=_place)])


def _place(row: UsageRow) -> tuple[Any, ...]:
    """By customer, time and value, where none comes last."""
    return row.customer_id, row.start, [(value is None, value or "") for value in row.dimensions]


def _row(asked: Asked, row: UsageRow, customer: Customer) -> list[str]:
    start = (row.start or asked.period.start).astimezone(zone(asked.timezone))
    return [
        start.isoformat(), asked.window, safe(customer.external_id), safe(customer.legal_name),
        *(safe(value or "") for value in row.dimensions), f"{row.quantity.value:f}", safe(asked.meter.unit),
        str(row.quantity.events), str(row.quantity.invalid),
    ]  # fmt: skip


def _lines(rows: Sequence[Sequence[Any]]) -> str:
    """Rows as text."""
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()
