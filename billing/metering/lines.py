"""Newline-delimited JSON: a stream of bytes as lines, and lines as batches of events, in memory that does not grow.

Pure: no Django, no database, no clock.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from billing.metering.validate import Problem, Reading, read_one

BATCH: Final = 1000
"""Events that are stored in one transaction."""


def batches(
    pieces: Iterable[bytes], *, longest_line: int, most_bytes: int, most_events: int = BATCH
) -> Iterator[Reading]:
    """Readings of at most `most_events` lines, and about `most_bytes`, each event with the number of its line.

    A line beyond `longest_line` bytes, and one that is no event, is a problem of its own. What `pieces` raises passes
    through; the lines that were not given out by then are lost.
    """
    reading, size = Reading([], []), 0
    for index, line in numbered(pieces, longest_line):
        event = _too_long(index, longest_line) if line is None else read_one(index, line)
        reading.add(index, event, line or b"")
        size += len(line or b"")
        if size >= most_bytes or len(reading.events) + len(reading.problems) == most_events:
            yield reading
            reading, size = Reading([], []), 0
    if reading.events or reading.problems:
        yield reading


def numbered(pieces: Iterable[bytes], longest: int) -> Iterator[tuple[int, bytes | None]]:
    """Lines that are not blank, with their number from 0 (blank ones count); None for one that is too long."""
    index, rest, passing = 0, b"", False  # passing: over the rest of a line that is too long
    for piece in pieces:
        *ended, rest = (rest + piece).split(b"\n")
        for line in ended:
            if passing or len(line) > longest:
                yield index, None
            elif line.strip():
                yield index, line
            index, passing = index + 1, False
        if passing or len(rest) > longest:
            rest, passing = b"", True
    if passing:
        yield index, None
    elif rest.strip():
        yield index, rest


def _too_long(index: int, longest: int) -> Problem:
    """The problem of a line beyond the limit, of which nothing was kept."""
    return Problem(index, None, "line_too_long", f"The line has more than {longest:,} bytes; send smaller events.")
