"""Files as tables: names of columns, and rows of text cells, read one by one in constant memory.

A file is known by its content, not by its name alone: what cannot be read is refused with the way out.
"""

import csv
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, islice
from typing import BinaryIO, Final

from billing.metering.csv_import import Row, numbered
from billing.metering.sources import workbooks
from billing.metering.sources.errors import UnreadableFile
from billing.metering.sources.guessing import sniff_delimiter

HEAD: Final = 10
"""Rows that are looked at ahead: to show them, and to see whether the first line names the columns."""
LINE_LIMIT: Final = 1_000_000
"""Characters of one line of a CSV file."""
MOST_COLUMNS: Final = 200
_SAMPLE: Final = 65_536
ENDINGS: Final = (".csv", ".tsv", ".txt", ".xlsx")


@dataclass(frozen=True, slots=True)
class Reading:
    """How a file is read: the delimiter of a CSV file ("" finds it out), the sheet of a workbook ("" is the first).

    `whole` says that nobody still writes to the file; otherwise a last row that is not ended is left for later.
    """

    delimiter: str = ""
    sheet: str = ""
    whole: bool = True


@dataclass(slots=True)
class Table:
    """Names of columns, and rows numbered from 1 below them. `head` holds the first rows, which `rows` yields too.

    `epoch` is the day 0 of dates as serial numbers, in workbooks only; `progress` says how much has been read, of
    1,000; `sheets` are the workbook's; `long_numbers` counts cells with more digits than a workbook keeps; `held`
    says, at the end, whether a last row was left for later.
    """

    header: list[str]
    rows: Iterator[Row]
    head: list[Row]
    progress: Callable[[], int]
    epoch: datetime | None = None
    sheets: tuple[str, ...] = ()
    delimiter: str = ""
    long_numbers: Callable[[], int] = lambda: 0
    held: Callable[[], bool] = lambda: False


@contextmanager
def open_table(binary: BinaryIO, name: str, size: int, reading: Reading) -> Iterator[Table]:
    """The table of a file that can be sought in; UnreadableFile when it is none. Rows may raise it as well."""
    if not name.lower().endswith(ENDINGS):
        raise UnreadableFile(f"{name} is no CSV file or workbook; its name must end with {', '.join(ENDINGS)}.")
    start = binary.read(_SAMPLE)
    binary.seek(0)
    if not start.strip(b"\xef\xbb\xbf\r\n\t ,;"):
        raise UnreadableFile(f"{name} is empty; its first line must name the columns, and rows must follow.")
    if start.startswith(b"\xd0\xcf\x11\xe0"):
        raise UnreadableFile(
            f"{name} is protected by a password, or in the old format .xls; save it as .xlsx without a password."
        )
    packed = start.startswith(b"PK\x03\x04")
    if packed != name.lower().endswith(".xlsx"):
        kind, ending = ("a workbook", ".xlsx") if packed else ("no workbook", ".csv")
        raise UnreadableFile(f"{name} is {kind}, whatever its name says; name it {ending} if that is what it is.")
    if packed:
        with workbooks.opened(binary, name, reading.sheet) as book:
            yield _checked(name, book.header, book.rows(), Table(
                [], iter(()), [], book.progress, book.epoch, book.sheets, long_numbers=lambda: book.long_numbers,
            ))  # fmt: skip
    else:
        yield _csv(binary, name, size, reading, start)


def _csv(binary: BinaryIO, name: str, size: int, reading: Reading, start: bytes) -> Table:
    """The table of a CSV file in UTF-8, with a byte order mark or without."""
    if b"\0" in start or start.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UnreadableFile(f"{name} is no text in UTF-8; save it as “CSV UTF-8”.")
    text = start.decode("utf-8-sig", errors="surrogateescape")
    if any("\udc80" <= character <= "\udcff" for character in text[:-4]):  # the sample may end within a character
        raise UnreadableFile(f"{name} is not in UTF-8; save it as “CSV UTF-8”.")
    lines = text.splitlines(keepends=True)
    delimiter = reading.delimiter or sniff_delimiter(lines[:-1] if len(lines) > 1 else lines)
    stream = io.TextIOWrapper(binary, encoding="utf-8-sig", errors="surrogateescape", newline="")
    source = _Lines(stream, name)
    reader = csv.reader(source, delimiter=delimiter)
    try:
        header = [cell.strip() for cell in next(reader, [])]
    except csv.Error as error:
        raise UnreadableFile(f"The first line of {name} cannot be read as CSV ({error}); check its quotes.") from None
    rows = numbered(reader)
    if not reading.whole:
        rows = _ended(rows, source)
    held = lambda: not reading.whole and source.unended  # noqa: E731
    progress = lambda: min(1000, binary.tell() * 1000 // max(size, 1))  # noqa: E731
    return _checked(name, header, rows, Table([], iter(()), [], progress, delimiter=delimiter, held=held))


class _Lines:
    """The lines of a text, none of them endless; knows at the end whether the last row was ended."""

    def __init__(self, stream: io.TextIOWrapper, name: str) -> None:
        self.stream, self.name = stream, name
        self.broken = self.quoted = False

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self.stream.readline(LINE_LIMIT)
        if not line:
            raise StopIteration
        if len(line) == LINE_LIMIT and not line.endswith("\n"):
            raise UnreadableFile(f"{self.name} has a line of more than {LINE_LIMIT:,} characters; is it a CSV file?")
        self.broken = not line.endswith(("\n", "\r"))
        self.quoted ^= line.count('"') % 2 == 1
        return line

    @property
    def unended(self) -> bool:
        """Whether what was read last is the middle of a row."""
        return self.broken or self.quoted


def _ended(rows: Iterator[Row], lines: _Lines) -> Iterator[Row]:
    """All rows but a last one that somebody may still be writing."""
    before: Row | None = None
    for row in rows:
        if before is not None:
            yield before
        before = row
    if before is not None and not lines.unended:
        yield before


def _checked(name: str, header: list[str], rows: Iterator[Row], table: Table) -> Table:
    """The table with its header and rows, unless the header cannot be one."""
    if len(header) > MOST_COLUMNS:
        raise UnreadableFile(
            f"{name} has {len(header):,} columns; at most {MOST_COLUMNS} can be named. Leave some out."
        )
    head = list(islice(rows, HEAD))
    wide = [len(cells) for _, cells in head if isinstance(cells, list)]
    if wide and min(wide) > len(header):
        raise UnreadableFile(
            f"The first line of {name} names {len(header)} column{'' if len(header) == 1 else 's'}, and the rows below"
            f" have {min(wide)} cells: it seems to be a title. Delete the lines above the names of the columns."
        )
    for place, column in enumerate(header, 1):
        if not column:
            raise UnreadableFile(
                f"Column {place} of {name} has no name in the first line. Give it one; if a title stands above the"
                " names of the columns, delete it."
            )
        if header.count(column) > 1:
            raise UnreadableFile(f"{name} names the column {column!r} twice; rename one of them.")
    table.header, table.head, table.rows = header, head, chain(head, rows)
    return table
