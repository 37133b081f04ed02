"""A run's outcomes as CSV, in pieces: exact decimals, and no cell that a spreadsheet takes for a formula."""

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any

from billing.lab.models import TrialCandidate, TrialRun
from billing.lab.results import ROWS
from billing.metering.explorer.csv_file import safe
from billing.money import plain


def by_customer(run: TrialRun, candidates: Sequence[TrialCandidate]) -> Iterator[str]:
    """A row for each customer and currency: today, each candidate, its difference, and why it could not be rated."""
    titles = [title for each in candidates for title in (safe(each.name), safe(f"{each.name}: difference"))]
    yield _lines([["customer", "name", "currency", "today", *titles, "problem"]])
    for row in _rows(run, "today", "amounts", "problem"):
        external_id, name, currency, today, amounts, problem = row
        start = [safe(external_id), safe(name), currency]
        if problem:
            yield _lines([[*start, "", *[""] * (2 * len(candidates)), safe(problem)]])
            continue
        columns = [text for amount in amounts for text in (plain(amount), plain(amount - today))]
        yield _lines([[*start, plain(today), *columns, ""]])


def by_charge(run: TrialRun, candidates: Sequence[TrialCandidate]) -> Iterator[str]:
    """A row for each customer, currency and charge; customers that could not be rated are in the other file."""
    yield _lines(
        [["customer", "name", "currency", "kind", "charge", "today", *(safe(each.name) for each in candidates)]]
    )
    for external_id, name, currency, parts in _rows(run, "parts"):
        yield _lines([
            [safe(external_id), safe(name), currency, kind, safe(code), *sums] for kind, code, *sums in parts
        ])  # fmt: skip


def _rows(run: TrialRun, *fields: str) -> Iterator[Any]:
    start = ("customer__external_id", "customer__legal_name", "currency")
    return run.outcomes.order_by("customer__external_id", "currency").values_list(*start, *fields).iterator(ROWS)


def _lines(rows: Sequence[Sequence[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()
