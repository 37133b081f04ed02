"""All problems of a stream as a file: written in parts while the stream is read, in memory that does not grow."""

import gzip
import heapq
from collections.abc import Iterator
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from django.db import InterfaceError, OperationalError

from billing.metering.access import Ask, at_once
from billing.metering.reports.models import ProblemFile, ProblemPart
from billing.metering.validate import MAX_ID, Problem

PART: Final = 262_144
"""Bytes of lines after which a part is written."""


def in_order(conflicts: tuple[Problem, ...], rejected: tuple[Problem, ...]) -> Iterator[Problem]:
    """Both kinds of problem by their place in the request; each comes in order."""
    return heapq.merge(conflicts, rejected, key=lambda problem: problem.index)


def short(problem: Problem) -> Problem:
    """The problem with what a sender may make long cut to 1,000 characters."""
    identifier = None if problem.id is None else problem.id[:MAX_ID]
    return Problem(problem.index, identifier, problem.code, problem.message[:MAX_ID])


class ProblemLog:
    """The file of one stream; it exists once a problem was written. `ask` runs what it writes."""

    def __init__(self, key_id: int | None, now: datetime, ask: Ask = at_once) -> None:
        self._key_id, self._now, self._ask = key_id, now, ask
        self._lines = bytearray()
        self._file: ProblemFile | None = None
        self._parts = 0

    def add(self, conflicts: tuple[Problem, ...], rejected: tuple[Problem, ...]) -> None:
        """Write down the problems of a batch, whose places come after those of the batches before it."""
        for problem in in_order(conflicts, rejected):
            self._lines += msgspec.json.encode(short(problem)) + b"\n"
            if len(self._lines) >= PART:
                self._write()

    def close(self) -> UUID | None:
        """Write the rest; the file's id, or None when there is none, or the database took no more."""
        try:
            self._write()
        except (OperationalError, InterfaceError):
            return None  # the answer says what could be said; the sender is told to send again
        return self._file.pk if self._file else None

    def _write(self) -> None:
        """One more part, gzipped by itself, so that what was written can be read whatever comes after."""
        if not self._lines:
            return
        content = gzip.compress(self._lines, compresslevel=6, mtime=0)
        self._file = self._ask(lambda: self._store(content))
        self._parts += 1
        self._lines.clear()

    def _store(self, content: bytes) -> ProblemFile:
        """Put a part into the database, and the file before the first one."""
        file = self._file or ProblemFile.objects.create(key_id=self._key_id, created=self._now)
        ProblemPart.objects.create(file=file, n=self._parts, content=content)
        return file


def lines_of(file_id: UUID) -> Iterator[bytes]:
    """The file's lines, a part at a time."""
    n = 0
    while content := ProblemPart.objects.filter(file_id=file_id, n=n).values_list("content", flat=True).first():
        yield gzip.decompress(content)
        n += 1
