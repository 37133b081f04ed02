"""What was pasted from a spreadsheet: rows of tiers or cells, each understood or with what is wrong with it.

Amounts are read as people write them in spreadsheets (“1,234.50”, “1.234,50”, “$ 0.10”, “EUR 3”); whoever pasted sees
what was understood before it is used. Pure: no Django.
"""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from billing.money import AmountError, parse_decimal, plain

MAX_ROWS: Final = 5_000
_OPEN: Final = frozenset({"", "∞", "null", "open", "-", "–", "and above", "above", "beyond", "max", "inf", "+"})
_AROUND: Final = re.compile(r"^[^\d.,+\-−]+|[^\d.,%]+$")
_GROUPED: Final = {
    ",": re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d*)?"),
    ".": re.compile(r"[+-]?[1-9]\d{0,2}(\.\d{3})+(,\d*)?"),
}
_SPAN: Final = re.compile(r"^\s*[\d.,\s]+\s*(?:-|–|—|to|\.\.)\s*([\d.,\s]+|∞)\s*$")


@dataclass(slots=True)
class Row:
    """A line of the text: its number from 1, what it says, or the problem with it."""

    line: int
    text: str
    understood: dict[str, Any] = field(default_factory=dict)
    problem: str = ""

    def to_json(self) -> dict[str, Any]:
        """As the form reads it."""
        return {"line": self.line, "text": self.text, "understood": self.understood, "problem": self.problem}


def amount_of(text: str) -> str:
    """A number as a plain decimal string; ValueError with a sentence for what is none.

    One separator that groups digits by three is a thousands separator (“1,000”, but not “0,100”); otherwise the last
    separator is the decimal point.
    """
    bare = re.sub(r"[\s\u00a0\u202f'’]", "", _AROUND.sub("", text.strip())).replace("−", "-").rstrip("%")
    for mark, other in ((",", "."), (".", ",")):
        # “1.000” alone is an English decimal; two groups or a comma after it say otherwise.
        if _GROUPED[mark].fullmatch(bare) and (mark == "," or bare.count(".") > 1 or other in bare):
            return _plain(bare.replace(mark, "").replace(other, "."), text)
    return _plain(bare.replace(",", ".") if bare.count(",") == 1 and "." not in bare else bare, text)


def _plain(number: str, text: str) -> str:
    try:
        return plain(parse_decimal(number, ""))
    except AmountError:
        raise ValueError(f"“{text.strip()}” is no number: write it like 0.10 or 1,234.50.") from None


def rows_of(text: str) -> list[tuple[int, str, list[str]]]:
    """The lines that hold something: number, text, and cells apart by tabs, else semicolons, else commas.

    ValueError with a sentence for more than 5,000.
    """
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip(" \t;,")]
    if len(lines) > MAX_ROWS:
        raise ValueError(f"{len(lines):,} rows were pasted; paste at most {MAX_ROWS:,} at a time.")
    mark = next((mark for mark in "\t;" if any(mark in line for _, line in lines)), ",")
    return [(number, line, _cells(line, mark)) for number, line in lines]


def _cells(line: str, mark: str) -> list[str]:
    try:
        return [cell.strip() for cell in next(csv.reader([line.replace("\0", "")], delimiter=mark))]
    except csv.Error:
        return [line]


def tiers_of(text: str, amounts: Sequence[str] = ("unit_amount", "flat_amount")) -> list[Row]:
    """Rows of a bound and the `amounts` of a tier in order, of which the first is needed.

    The bound may be a span (“1,001 – 5,000”), or open (“∞”, “10,000+”, empty).
    """
    found: list[Row] = []
    for number, line, cells in rows_of(text):
        if not found and not any(re.search(r"\d", cell) for cell in cells):
            continue  # the head
        row = Row(number, line)
        try:
            row.understood = _tier(cells, amounts)
        except ValueError as error:
            row.problem = str(error)
        found.append(row)
    return found


def _tier(cells: Sequence[str], amounts: Sequence[str]) -> dict[str, Any]:
    if not 2 <= len(cells) <= 1 + len(amounts):
        wanted = ", ".join(["up to", *(name.replace("_", " ") for name in amounts)])
        raise ValueError(f"{_columns(cells)} here; a row has {wanted}.")
    bound = cells[0]
    if span := _SPAN.match(bound):
        bound = span[1]
    tier: dict[str, Any] = {"up_to": None if _open(bound) else amount_of(bound)}
    for name, cell in zip(amounts, cells[1:], strict=False):
        if cell:
            tier[name] = amount_of(cell)
    return tier


def _columns(cells: Sequence[str]) -> str:
    return f"{len(cells)} {'column stands' if len(cells) == 1 else 'columns stand'}"


def _open(bound: str) -> bool:
    """Whether a bound has no end: empty, “∞”, or “10,000+”, “> 10,000”."""
    bare = bound.strip().lower()
    return bare in _OPEN or bare.endswith(("+", "and above", "∞")) or bare.startswith((">", "above", "over"))


def cells_of(text: str, dimensions: Sequence[str]) -> list[Row]:
    """Rows of a value for each dimension and an amount; a head may name the dimensions in another order.

    The same values twice are a problem of the later row.
    """
    order = list(range(len(dimensions)))
    found: list[Row] = []
    seen: dict[tuple[str, ...], int] = {}
    for place, (number, line, cells) in enumerate(rows_of(text)):
        if place == 0 and (named := _head(cells, dimensions)) is not None:
            order = named
            continue
        row = Row(number, line)
        try:
            row.understood = _cell(cells, dimensions, order)
            values = tuple(row.understood["when"].values())
            if values in seen:
                raise ValueError(f"Line {seen[values]} says these values too: keep one of them.")
            seen[values] = number
        except ValueError as error:
            row.problem, row.understood = str(error), {}
        found.append(row)
    return found


def _head(cells: Sequence[str], dimensions: Sequence[str]) -> list[int] | None:
    """Where each dimension stands when the row is a head, else None."""
    if len(cells) != len(dimensions) + 1:
        return None
    names = [cell.lower() for cell in cells[:-1]]
    wanted = [name.lower() for name in dimensions]
    if sorted(names) == sorted(wanted):
        return [names.index(name) for name in wanted]
    return None if re.search(r"\d", cells[-1]) else list(range(len(dimensions)))


def _cell(cells: Sequence[str], dimensions: Sequence[str], order: Sequence[int]) -> dict[str, Any]:
    if len(cells) != len(dimensions) + 1:
        expected = ", ".join([*dimensions, "amount"])
        raise ValueError(f"{_columns(cells)} here; a row has {expected}.")
    when = {name: cells[place] for name, place in zip(dimensions, order, strict=True)}
    if empty := next((name for name, value in when.items() if not value), None):
        raise ValueError(f"There is no {empty}: fill it in, or use the default price for all others.")
    return {"when": when, "amount": amount_of(cells[-1])}
