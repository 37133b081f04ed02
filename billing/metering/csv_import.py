"""Usage from CSV files: rows become events and come in like any others, in batches and in constant memory.

Importing a file again adds nothing, and a longer export of it adds its new rows, because a row's id is its number
under the source that the file belongs to (or its own id, or its content).
"""

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from hashlib import blake2b
from itertools import islice
from typing import Final

import msgspec
from django.db import transaction

from billing.metering import services
from billing.metering.csv_mapping import CsvMapping, DataColumn
from billing.metering.errors import ImportMappingError
from billing.metering.validate import MAX_EXAMPLE, NewEvent, Problem, Reading
from billing.money import AmountError, parse_decimal, plain
from billing.periods import zone

BATCH: Final = 2000
"""Rows that are committed together."""

_JSON_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_TIME: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)(\.[0-9]+)?"
    r" ?([Zz]|[+-][0-9]{2}(?::?[0-9]{2})?)?"
)
_SERIAL: Final = re.compile(r"[0-9]{1,7}(\.[0-9]+)?")


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

    def __add__(self, other: "ImportReport") -> "ImportReport":
        return ImportReport(*(getattr(self, name) + getattr(other, name) for name in ImportReport.__slots__))


class BadRow(Exception):
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
    total = ImportReport()

    def after(outcome: Outcome) -> None:
        nonlocal total
        total += outcome.report
        for problem in outcome.problems:
            on_problem(problem)
        on_batch(total)

    importing = Importing(mapping=mapping, origin=origin, now=lambda: now, dry_run=dry_run, after=after)
    import_rows(header=header, rows=numbered(reader), importing=importing)
    return total


Row = tuple[int, list[str] | str]
"""A row's number and its cells, or the sentence that says why it cannot be read."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one batch: its counts, its problems by row, its last row's number, and what it is stored as.

    `batch` is None where nothing was new; `start` and `end` are the first and the last time of its events.
    """

    report: ImportReport
    problems: list[RowProblem]
    last: int
    batch: int | None = None
    start: datetime | None = None
    end: datetime | None = None
    types: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Importing:
    """How rows come in: as what, from where, and what is done with each batch.

    `within` is called in the batch's own transaction, before it is committed (or, in a dry run, rolled back): what it
    writes stands exactly when the events do. `after` is called behind it. `epoch` is the day 0 of times that are
    written as serial numbers (None: a number is no time).
    """

    mapping: CsvMapping
    origin: str
    now: Callable[[], datetime]
    dry_run: bool = False
    within: Callable[[Outcome], None] = lambda outcome: None
    after: Callable[[Outcome], None] = lambda outcome: None
    backfill_id: int | None = None
    epoch: datetime | None = None


def import_rows(*, header: Sequence[str], rows: Iterator[Row], importing: Importing) -> None:
    """Import rows in batches of at most BATCH, each in one transaction.

    ImportMappingError when header and mapping do not fit. What `rows`, `within` and `after` raise passes through; the
    batches before are committed by then.
    """
    convert = Converter(header, importing.mapping, importing.epoch)
    while batch := list(islice(rows, BATCH)):
        importing.after(_import_batch(batch, convert, importing))


def _import_batch(batch: list[Row], convert: "Converter", importing: Importing) -> Outcome:
    """Import some rows in one transaction."""
    reading = Reading([], [])
    for place, (number, cells) in enumerate(batch):
        try:
            reading.events.append((place, convert(number, cells)))
        except BadRow as bad:
            reading.problems.append(Problem(place, None, bad.code, bad.message))
            reading.examples[bad.code] = text_of(cells)[:MAX_EXAMPLE]
    with transaction.atomic():
        report = services.ingest(
            events=reading, origin=importing.origin, default_source=importing.mapping.source, now=importing.now(),
            backfill_id=importing.backfill_id,
        )  # fmt: skip
        outcome = _outcome(batch, reading, report)
        importing.within(outcome)
        transaction.set_rollback(importing.dry_run)
    return outcome


def _outcome(batch: list[Row], reading: Reading, report: services.IngestReport) -> Outcome:
    """What became of the rows, by their numbers."""
    refused = sorted((*report.rejected, *report.conflicts), key=lambda each: each.index)
    problems = [
        RowProblem(batch[each.index][0], each.code, each.message, text_of(batch[each.index][1])) for each in refused
    ]
    counts = ImportReport(
        len(batch), report.accepted, report.duplicates, len(report.conflicts), len(report.rejected)
    )  # fmt: skip
    events = [event for _, event in reading.events] if report.batch else []
    times = sorted(event.time for event in events if event.time)
    start, end = (times[0], times[-1]) if times else (None, None)
    types = frozenset(event.type for event in events)
    return Outcome(counts, problems, batch[-1][0], report.batch, start, end, types)


def numbered(reader: Iterator[list[str]]) -> Iterator[Row]:
    """The rows of a csv.reader, numbered from 1; blank lines are passed over."""
    number = 0
    while True:
        try:
            cells: list[str] | str | None = next(reader, None)
        except csv.Error as error:
            cells = f"The row cannot be read as CSV ({error}); check its quotes."
        if cells is None:
            return
        if cells:
            number += 1
            yield number, cells


class Converter:
    """Rows of one file to events."""

    def __init__(self, header: Sequence[str], mapping: CsvMapping, epoch: datetime | None = None) -> None:
        self.width = len(header)
        self.mapping = mapping
        places = {name: place for place, name in enumerate(header)}
        self.data = [(places[each.column], each) for each in mapping.data_columns(header)]
        self.places = {field: places[column] for field, column in mapping.columns.items()}
        self.zone = zone(mapping.zone) if mapping.zone else None
        self.epoch = epoch

    def __call__(self, number: int, cells: list[str] | str) -> NewEvent:
        """The event of a row; BadRow says what keeps it from being one."""
        if isinstance(cells, str):
            raise BadRow("invalid_csv", cells)
        if len(cells) != self.width:
            raise BadRow("wrong_width", f"The row has {len(cells)} cells where the header has {self.width}.")
        text = "\x1f".join(cells)
        if not text.isascii() and any("\udc80" <= character <= "\udcff" for character in text):
            raise BadRow("not_utf8", "The row is not UTF-8; save the file in that encoding.")
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
        if match is None and self.epoch and _SERIAL.fullmatch(text):
            return serial_time(text, self.epoch).replace(tzinfo=self.zone or UTC)
        if match is None:
            raise BadRow("invalid_time", f"{text!r} is no time; write it as 2023-11-16 18:17:03.97996.")
        day, clock, fraction, offset = match.groups()
        if offset is None and self.zone is None:
            raise BadRow(
                "time_without_zone", f"The time {text!r} has no zone, and the mapping names none; add --zone, e.g. UTC."
            )
        try:
            time = datetime.fromisoformat(f"{day}T{clock}{(fraction or '')[:7]}{(offset or '').upper()}")
        except ValueError:
            raise BadRow("invalid_time", f"{text!r} is no time that exists; check month, day and hour.") from None
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
                raise BadRow("invalid_number", f"In the column {column.column}: {error.message}") from None
        else:
            return plain(number).encode()
    return msgspec.json.encode(cell)


def text_of(cells: list[str] | str) -> str:
    """A row as it stands in a CSV file; what is no character is written as an escape, so that it can be stored."""
    if isinstance(cells, str):
        return ""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(cells)
    return line.getvalue().replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()


def serial_time(text: str, epoch: datetime) -> datetime:
    """The time that a spreadsheet's serial number of days means, to the millisecond, which is what it can show.

    In the 1900 system days before 1900-03-01 are off by one, for the sake of a leap day that never was; no usage is
    that old. BadRow for a day beyond the calendar.
    """
    milliseconds = (Decimal(text) * 86_400_000).to_integral_value(ROUND_HALF_UP)
    try:
        return epoch + timedelta(milliseconds=int(milliseconds))
    except OverflowError:
        raise BadRow("invalid_time", f"{text!r} is no day that exists; check the column.") from None
