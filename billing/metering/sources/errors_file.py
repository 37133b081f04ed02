"""Errors files: rows that did not count, each with its reason, as CSV that a spreadsheet can open safely."""

import csv
import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from billing.metering.csv_import import RowProblem

COLUMNS: Final = ("file", "row", "code", "reason", "text")
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


class ErrorsFile:
    """A CSV file that grows with the batches. What was written behind the committed position is cut off first."""

    def __init__(self, path: Path, position: int) -> None:
        self.path, self.position = path, position
        if path.exists():
            with path.open("r+b") as stream:
                stream.truncate(position)

    def add(self, file: str, problems: Iterable[RowProblem]) -> int:
        """Write problems down durably; the position to commit with their batch. The first ones make the file."""
        lines = io.StringIO()
        writer = csv.writer(lines)
        for each in problems:
            writer.writerow([_safe(file), each.row, each.code, _safe(each.message), _safe(each.text)])
        text = lines.getvalue()
        if not text:
            return self.position
        if not self.position:
            text = ",".join(COLUMNS) + "\r\n" + text
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as stream:
            self.position += stream.write(text.encode("utf-8", "backslashreplace"))
            stream.flush()
            os.fsync(stream.fileno())
        return self.position


def _safe(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text
