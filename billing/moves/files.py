"""A move as CSV: a line a subscription, exact amounts, and no cell that a spreadsheet takes for a formula."""

import csv
import io
from collections.abc import Iterator
from decimal import Decimal

from billing.metering.explorer.csv_file import safe
from billing.moves.models import Move, MovedSubscription
from billing.moves.queries import file_rows
from billing.periods import local_date

HEAD = [
    "customer", "name", "contract", "subscription", "from", "to", "day", "outcome", "currency", "before", "after",
    "change", "percent", "note",
]  # fmt: skip


def lines(move: Move) -> Iterator[str]:
    """The file, the largest changes first."""
    yield _line(HEAD)
    target = str(move.target)
    for row in file_rows(move):
        yield _line(_cells(row, target))


def _cells(row: MovedSubscription, target: str) -> list[str]:
    contract = row.subscription.contract
    return [
        safe(contract.customer.external_id), safe(contract.customer.legal_name), safe(contract.number),
        safe(row.subscription.code), safe(str(row.from_version or "")), safe(target),
        local_date(row.at, contract.timezone).isoformat() if row.at else "", row.get_outcome_display(), row.currency,
        _text(row.before), _text(row.after), _text(row.change), _text(row.percent), safe(row.note or row.problem),
    ]  # fmt: skip


def _text(amount: Decimal | None) -> str:
    if amount is None:
        return ""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _line(cells: list[str]) -> str:
    text = io.StringIO()
    csv.writer(text).writerow(cells)
    return text.getvalue()
