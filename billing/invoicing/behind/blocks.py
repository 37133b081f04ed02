"""The usage on a document as texts: a block for each line, with its values and its days in columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

from billing.invoicing.behind.printed import Printed
from billing.invoicing.fonts import drawable
from billing.invoicing.formatting import Format, breakable
from billing.invoicing.models import InvoiceLine
from billing.pricing.words import plural

Row = tuple[str, str]
"""Label and quantity."""
NARROW: Final = 10
"""Characters of a quantity that fit in a narrow column."""


@dataclass(frozen=True, slots=True)
class Block:
    """The usage of a line. `columns` are the days, down and then right; `width` is that of one of them, in percent."""

    title: str
    period: str
    values_title: str
    values: list[Row]
    days_title: str
    columns: list[list[Row]]
    width: str
    note: str


@dataclass(frozen=True, slots=True)
class UsagePages:
    """All blocks; `left` says what is not shown."""

    blocks: list[Block]
    left: str = ""


def usage_pages(
    printed: Printed, lines: Sequence[InvoiceLine], periods: Mapping[int, str], write: Format, labels: Mapping[str, str]
) -> UsagePages:
    """What `printed` says, in words; `periods` are the service periods by the line's position."""
    if printed.get("archived"):
        return UsagePages([], labels["archived"])
    shown = printed.get("lines", {})
    blocks = [
        _block(shown[str(line.position)], line, periods[line.position], write, labels)
        for line in lines if str(line.position) in shown
    ]  # fmt: skip
    left = printed.get("left", 0)
    return UsagePages(blocks, labels["lines_left"].format(count=left) if left else "")


def _block(usage: Mapping[str, Any], line: InvoiceLine, period: str, write: Format, labels: Mapping[str, str]) -> Block:
    """One line's usage."""
    values, days = usage_rows(usage, write, labels)
    values = [(breakable(drawable(label), 30), quantity) for label, quantity in values]
    columns, width = _columns(days, beside=bool(values))
    unit = plural(drawable(usage["unit"]), Decimal(2))
    return Block(
        title=f"{line.position}. {line.description}",
        period=" · ".join(filter(None, [period, unit])),
        values_title=labels["by_values"].format(dimensions=drawable(", ".join(usage["dimensions"]))) if values else "",
        values=values,
        days_title=labels[f"by_{usage['by']}"] if days else "",
        columns=columns,
        width=width,
        note="" if usage["adds"] else labels["each_alone"],
    )


def usage_rows(usage: Mapping[str, Any], write: Format, labels: Mapping[str, str]) -> tuple[list[Row], list[Row]]:
    """Rows by values and by day, or by month; what `printed.shown` keeps, in words."""
    values = [
        (" · ".join(name or labels["none"] for name in names), write.short(Decimal(quantity)))
        for names, quantity in usage["values"]
    ]
    if usage["others"]:
        count, quantity = usage["others"]
        values.append((labels["others"].format(count=count), write.short(Decimal(quantity))))
    return values, [(_time(text, write), write.short(Decimal(quantity))) for text, quantity in usage["days"]]


def _time(text: str, write: Format) -> str:
    """A day without its year; a month with it."""
    if len(text) == len("2023-11"):
        return write.month(date.fromisoformat(f"{text}-01"))
    return write.short_day(date.fromisoformat(text))


def _columns(rows: list[Row], *, beside: bool) -> tuple[list[list[Row]], str]:
    """The rows in as many columns as fit beside the values, or alone, and how wide one is in percent."""
    wide = max((len(quantity) for _, quantity in rows), default=0) > NARROW
    across = {(True, False): 3, (True, True): 2, (False, False): 5, (False, True): 4}[beside, wide]
    each = max(1, -(-len(rows) // across))
    columns = [rows[place : place + each] for place in range(0, len(rows), each)]
    return columns + [[]] * (across - len(columns)), f"{(54 if beside else 100) / Decimal(across):.2f}"
