"""Usage from CSV files: rows become events and come in like any others, in batches and in constant memory.

Importing a file again adds nothing, and a longer export of it adds its new rows, because a row's id is its number
under the source that the file belongs to (or its own id, or its content).
"""

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from hashlib import blake2b
from typing import Final

import msgspec
from django.db import transaction

from billing.metering import services
from billing.metering.csv_mapping import CsvMapping, DataColumn
from billing.metering.errors import ImportMappingError
from billing.metering.validate import NewEvent
from billing.money import AmountError, parse_decimal, plain
from billing.periods import zone

BATCH: Final = 2000
"""Rows that are committed together."""

_JSON_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_TIME: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)(\.[0-9]+)? ?([Zz]|[+-][0-9]{2}:?[0-9]{2})?"
)


@dataclass(frozen=True, slots=True)
class RowProblem:
    """Why a row was not counted: its number (the first below the header is 1), code and sentence, and its text."""

    row: int
    code: str
    message: str
    text: str


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What became of a file's rows: each is in exactly one of the four."""

    rows: int = 0
    accepted: int = 0
    duplicates: int = 0
    conflicts: int = 0
    rejected: int = 0


class _BadRow(Exception):
    """A row that is no event: code and sentence."""

    def __init__(self, code: str, message: str) -> None:
        self.code, self.message = code, message


def import_csv(
    *,
    stream: io.TextIOBase,
    mapping: CsvMapping,
    origin: str,
    now: datetime,
    on_problem: Callable[[RowProblem], None],
    on_batch: Callable[[ImportReport], None] = lambda report: None,
    delimiter: str = ",",
    dry_run: bool = False,
) -> ImportReport:
    """Import the rows below the header of `stream`, telling `on_problem` of each row that does not count, and why.

    `mapping.source` must be named. Batches are committed one by one: after an interruption the same import goes on
    where it stood. A dry run answers the same and stores nothing (rows that repeat each other in different batches
    both count as accepted there). ImportMappingError when header and mapping do not fit.
    """
    reader = csv.reader(stream, delimiter=delimiter)
    header = [name.strip() for name in next(reader, [])]
    if not header:
        raise ImportMappingError("The file is empty; its first line must name the columns.")
    convert = _Converter(header, mapping)
    total = ImportReport()
    for batch in _batches(reader):
        report = _import_batch(batch, convert, mapping.source, origin, now, on_problem, dry_run)
        total = ImportReport(*(getattr(total, name) + getattr(report, name) for name in ImportReport.__slots__))
        on_batch(total)
    return total


_Row = tuple[int, list[str] | str]
"""A row's number and its cells, or the sentence that says why it cannot be read."""


def _import_batch(
    batch: list[_Row], convert: "_Converter", source: str, origin: str, now: datetime,
    on_problem: Callable[[RowProblem], None], dry_run: bool,
) -> ImportReport:  # fmt: skip
    """Import some rows in one transaction."""
    events: list[NewEvent] = []
    rows: list[tuple[int, str]] = []
    problems: list[RowProblem] = []
    for number, cells in batch:
        try:
            events.append(convert(number, cells))
            rows.append((number, _text(cells)))
        except _BadRow as bad:
            problems.append(RowProblem(number, bad.code, bad.message, _text(cells)))
    rejected = len(problems)
    with transaction.atomic():
        report = services.ingest(events=events, origin=origin, default_source=source, now=now)
        transaction.set_rollback(dry_run)
    for each in (*report.rejected, *report.conflicts):
        number, text = rows[each.index]
        problems.append(RowProblem(number, each.code, each.message, text))
    for problem in sorted(problems, key=lambda each: each.row):
        on_problem(problem)
    return ImportReport(
        rows=len(batch),
        accepted=report.accepted,
        duplicates=report.duplicates,
        conflicts=len(report.conflicts),
        rejected=rejected + len(report.rejected),
    )


def _batches(reader: Iterator[list[str]]) -> Iterator[list[_Row]]:
    """The rows in batches, numbered from 1; blank lines are passed over."""
    batch: list[_Row] = []
    number = 0
    while True:
        try:
            cells: list[str] | str | None = next(reader, None)
        except csv.Error as error:
            cells = f"The row cannot be read as CSV ({error}); check its quotes."
        if cells is None:
            break
        if cells:
            number += 1
            batch.append((number, cells))
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


class _Converter:
    """Rows of one file to events."""

    def __init__(self, header: Sequence[str], mapping: CsvMapping) -> None:
        self.width = len(header)
        self.mapping = mapping
        places = {name: place for place, name in enumerate(header)}
        self.data = [(places[each.column], each) for each in mapping.data_columns(header)]
        self.places = {field: places[column] for field, column in mapping.columns.items()}
        self.zone = zone(mapping.zone) if mapping.zone else None

    def __call__(self, number: int, cells: list[str] | str) -> NewEvent:
        """The event of a row; _BadRow says what keeps it from being one."""
        if isinstance(cells, str):
            raise _BadRow("invalid_csv", cells)
        if len(cells) != self.width:
            raise _BadRow("wrong_width", f"The row has {len(cells)} cells where the header has {self.width}.")
        text = "\x1f".join(cells)
        if not text.isascii() and any("\udc80" <= character <= "\udcff" for character in text):
            raise _BadRow("not_utf8", "The row is not UTF-8; save the file in that encoding.")
        return NewEvent(
            id=self._id(number, cells),
            type=self._named("type", cells),
            subject=self._named("subject", cells),
            time=self._time(cells[self.places["time"]].strip()),
            data=self._data(cells),
        )

    def _id(self, number: int, cells: list[str]) -> str:
        """The row's id, by the mapping's choice."""
        if self.mapping.ids_from == "column":
            return cells[self.places["id"]].strip()
        if self.mapping.ids_from == "row":
            return str(number)
        return blake2b("\x1f".join(cells).encode(), digest_size=16).hexdigest()

    def _named(self, field: str, cells: list[str]) -> str:
        """The constant or the cell of a field."""
        return cells[self.places[field]].strip() if field in self.places else self.mapping.constants[field]

    def _time(self, text: str) -> datetime:
        """The instant of a time, cut to microseconds, in the mapping's zone where it names none."""
        match = _TIME.fullmatch(text)
        if match is None:
            raise _BadRow("invalid_time", f"{text!r} is no time; write it as 2023-11-16 18:17:03.97996.")
        day, clock, fraction, offset = match.groups()
        if offset is None and self.zone is None:
            raise _BadRow(
                "time_without_zone", f"The time {text!r} has no zone, and the mapping names none; add --zone, e.g. UTC."
            )
        try:
            time = datetime.fromisoformat(f"{day}T{clock}{(fraction or '')[:7]}{(offset or '').upper()}")
        except ValueError:
            raise _BadRow("invalid_time", f"{text!r} is no time that exists; check month, day and hour.") from None
        return time if time.tzinfo else time.replace(tzinfo=self.zone)

    def _data(self, cells: list[str]) -> msgspec.Raw:
        """The row's properties as JSON text, numbers as they are written."""
        parts = []
        for place, column in self.data:
            if value := _json(cells[place].strip(), column):
                parts.append(msgspec.json.encode(column.name) + b":" + value)
        return msgspec.Raw(b"{" + b",".join(parts) + b"}")


def _json(cell: str, column: DataColumn) -> bytes:
    """A cell as JSON: an exact number or a string; nothing for an empty cell."""
    if not cell:
        return b""
    if column.kind == "number" or (column.kind == "auto" and _JSON_NUMBER.fullmatch(cell)):
        try:
            number: Decimal = parse_decimal(cell, column.column)
        except AmountError as error:
            if column.kind == "number":
                raise _BadRow("invalid_number", f"In the column {column.column}: {error.message}") from None
        else:
            return plain(number).encode()
    return msgspec.json.encode(cell)


def _text(cells: list[str] | str) -> str:
    """A row as it stands in a CSV file."""
    if isinstance(cells, str):
        return ""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(cells)
    return line.getvalue()
