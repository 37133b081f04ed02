"""The usage that a document shows: by values of dimensions and by day, cut to what people read on paper.

The file of usage (`csv_file`) has all of it.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, Final

from billing.invoicing.asking import Values
from billing.invoicing.behind.queries import Behind, DayUse, usage_behind
from billing.invoicing.models import Invoice, InvoiceLine
from billing.metering.months.errors import MonthDetached
from billing.money import EXACT, plain

Printed = dict[str, Any]
"""JSON: `lines` by position, `left` how many lines are not shown, `archived` whether usage could not be read."""

MOST_LINES: Final = 20
"""Lines whose usage is shown: the largest amounts."""
MOST_VALUES: Final = 12
"""Values of dimensions that a line shows: the largest quantities; the others are added up."""
MOST_DAYS: Final = 62
"""Days that are shown singly; of a longer period the months are."""


def printed_usage(invoice: Invoice) -> Printed:
    """What the document of an invoice shows of the usage behind its lines; {} where there is none."""
    usage = invoice.lines.filter(kind=InvoiceLine.Kind.USAGE).select_related("stream").order_by("position")
    lines = sorted(usage, key=lambda line: (-abs(line.amount), line.position))
    try:
        behind = usage_behind(lines[:MOST_LINES])
    except MonthDetached:
        return {"archived": True}
    found = {str(each.line.position): shown(each) for each in behind.values() if each.rows}
    if not found:
        return {}
    return {"lines": found, "left": max(0, len(lines) - MOST_LINES), "archived": False}


def shown(behind: Behind) -> dict[str, Any]:
    """A line's usage as JSON; quantities as texts."""
    by_month = len({row.day for row in behind.rows}) > MOST_DAYS
    values, left = _by_values(behind.rows) if behind.dimensions else ([], [])
    return {
        "unit": behind.unit,
        "adds": behind.adds,
        "dimensions": list(behind.dimensions),
        "values": [[list(names), plain(quantity)] for names, quantity in values],
        "others": [len(left), plain(_sum(quantity for _, quantity in left))] if left else None,
        "by": "month" if by_month else "day",
        "days": _by_time(behind.rows, by_month) if behind.adds or not by_month else [],
    }


def _by_values(rows: Sequence[DayUse]) -> tuple[list[tuple[Values, Decimal]], list[tuple[Values, Decimal]]]:
    """The largest values with their quantities, and the others."""
    found: dict[Values, Decimal] = defaultdict(Decimal)
    for row in rows:
        found[row.values] = EXACT.add(found[row.values], row.quantity)
    ordered = sorted(found.items(), key=lambda each: -each[1])  # stable: of equal ones the first
    return ordered[:MOST_VALUES], ordered[MOST_VALUES:]


def _by_time(rows: Sequence[DayUse], by_month: bool) -> list[list[str]]:
    """The quantity of each day, or month, that has any."""
    found: dict[str, Decimal] = defaultdict(Decimal)
    for row in rows:
        day = row.day.isoformat()
        key = day[:7] if by_month else day
        found[key] = EXACT.add(found[key], row.quantity)
    return [[key, plain(quantity)] for key, quantity in sorted(found.items())]


def _sum(quantities: Iterable[Decimal]) -> Decimal:
    total = Decimal(0)
    for quantity in quantities:
        total = EXACT.add(total, quantity)
    return total
