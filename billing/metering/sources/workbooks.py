"""Workbooks (.xlsx) as rows of text cells, exact and row by row: openpyxl in its read-only mode, behind limits.

A number is read as the shortest text that means it (0.1 is “0.1”), a date as date and time without a zone.
"""

import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, BinaryIO, Final

import openpyxl
from openpyxl.utils.exceptions import InvalidFileException

from billing.metering.csv_import import Row
from billing.metering.sources.errors import UnreadableFile
from billing.money import plain

UNPACKED_LIMIT: Final = 2_000_000_000
"""Bytes that a workbook may have unpacked; its sheets are read row by row."""
HELD_LIMIT: Final = 100_000_000
"""Bytes of its shared texts, unpacked: they must be held in memory as a whole."""
RATIO: Final = 200
"""How many times its packed size a workbook may have; real ones have 5 to 50."""
RATIO_FROM: Final = 50_000_000
DIGITS: Final = 15
"""Digits that a workbook keeps of a number."""


_DAMAGED: Final = (zipfile.BadZipFile, zlib.error, EOFError, SyntaxError)  # the last is what XML parsers raise


class Workbook:
    """One sheet of an open workbook."""

    def __init__(self, book: Any, sheet: Any) -> None:
        self.epoch: datetime = book.epoch
        self.sheets = tuple(each.title for each in book.worksheets if each.sheet_state == "visible")
        self.long_numbers = 0
        self._read = 0
        self._rows = sheet.max_row or 0
        sheet.reset_dimensions()  # what the file says of its width may be wrong
        self._cells = sheet.iter_rows(values_only=True)
        self.header = self._texts(next(self._cells, ()))

    def rows(self) -> Iterator[Row]:
        """The rows below the header, numbered from 1; blank ones are passed over."""
        width, number = len(self.header), 0
        for values in self._cells:
            self._read += 1
            if cells := self._texts(values):
                number += 1
                yield number, cells + [""] * (width - len(cells))

    def progress(self) -> int:
        """How much of the sheet has been read, of 1,000, as far as the file tells its length."""
        return min(1000, self._read * 1000 // max(self._rows, self._read, 1))

    def _texts(self, values: tuple[Any, ...]) -> list[str]:
        """The cells as text, without empty ones at the end."""
        texts = [self._text(value) for value in values]
        while texts and not texts[-1].strip():
            texts.pop()
        return texts

    def _text(self, value: Any) -> str:
        """One cell as text."""
        if value is None:
            return ""
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, int | float):
            if abs(value) >= 10**DIGITS:
                self.long_numbers += 1
            return plain(Decimal(repr(value)))
        if isinstance(value, datetime):
            return value.isoformat(" ")
        if isinstance(value, date | time):
            return value.isoformat()
        return str(value)


@contextmanager
def opened(binary: BinaryIO, name: str, sheet: str) -> Iterator[Workbook]:
    """The named sheet of a workbook, or its first visible one; UnreadableFile when it cannot be read."""
    try:
        _check_parts(binary, name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of styles that openpyxl does not know
            book = openpyxl.load_workbook(binary, read_only=True, data_only=True, keep_links=False)
    except (*_DAMAGED, InvalidFileException, KeyError, ValueError, OSError) as error:
        raise _broken(name, error) from None
    try:
        visible = [each for each in book.worksheets if each.sheet_state == "visible"]
        chosen = next((each for each in visible if not sheet or each.title == sheet), None)
        if chosen is None:
            found = ", ".join(each.title for each in visible) or "none"
            raise UnreadableFile(f"{name} has no visible sheet {sheet!r}; its sheets are: {found}.")
        try:
            yield Workbook(book, chosen)
        except _DAMAGED as error:
            raise _broken(name, error) from None
    finally:
        book.close()


def _check_parts(binary: BinaryIO, name: str) -> None:
    """Refuse what would fill the memory before any of it is unpacked."""
    with zipfile.ZipFile(binary) as archive:
        parts = archive.infolist()
    packed, unpacked = sum(each.compress_size for each in parts), sum(each.file_size for each in parts)
    held = sum(
        each.file_size
        for each in parts
        if not each.filename.startswith(("xl/worksheets/", "xl/media/", "xl/drawings/", "xl/pivotCache/"))
    )
    if any(each.flag_bits & 1 for each in parts):
        raise UnreadableFile(f"{name} is protected by a password; save it without one.")
    if unpacked > UNPACKED_LIMIT or (unpacked > RATIO_FROM and unpacked > packed * RATIO):
        raise UnreadableFile(
            f"{name} has {unpacked:,} bytes unpacked, of {packed:,} packed, which is more than is read; save it as CSV."
        )
    if held > HELD_LIMIT:
        raise UnreadableFile(
            f"{name} holds {held:,} bytes of texts, more than the {HELD_LIMIT:,} that are read; save it as CSV."
        )


def _broken(name: str, error: Exception) -> UnreadableFile:
    """The error of a workbook that is none, or only a part of one."""
    return UnreadableFile(f"{name} cannot be read as a workbook ({error}); open it, save it again as .xlsx, or as CSV.")
