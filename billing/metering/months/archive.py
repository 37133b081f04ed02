"""A month of events as a file: compressed NDJSON with a manifest beside it, written and read as a stream.

Each line holds what is needed to put the event back exactly as it was: its batch and place, the names of its source,
type and subject, its time to the microsecond, its id and its data as PostgreSQL prints it, every digit of every number.
"""

import gzip
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final

import msgspec
import psycopg
from django.conf import settings
from django.db import connection

from billing.metering import names
from billing.metering.months.errors import ArchiveDamaged
from billing.metering.partitions import table_of

FORMAT: Final = "meterbook-events/1"
COLUMNS: Final = ("ts", "batch", "n", "source", "type", "subject", "id", "data")
LEVEL: Final = 4
"""Of gzip: about twice as fast as its default, for files a few percent larger."""

LINES: Final = 5_000
"""Events that are put back at a time."""

Report = Callable[[int], None]
"""Told how many events are done, now and then."""

# CSV with a delimiter and a quote that JSON never contains: the lines come out and go in as they are.
_OUT: Final = """
    COPY (SELECT row_to_json(r) FROM (
        SELECT to_char(e.ts AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS ts, e.batch, e.n,
               source.name AS source, type.name AS type, subject.name AS subject, e.id, e.data
        FROM {table} e JOIN metering_source source ON source.id = e.source_id
        JOIN metering_type type ON type.id = e.type_id JOIN metering_subject subject ON subject.id = e.subject_id
    ) r) TO STDOUT (FORMAT csv, DELIMITER E'\\x01', QUOTE E'\\x02')
"""
_TIME: Final = slice(len('{"ts":"'), len('{"ts":"2023-11-01T00:00:00.000000Z'))


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a file holds, and who made it when; it stands beside the file as JSON."""

    format: str
    month: str
    file: str
    events: int
    sha256: str
    size: int
    first: str | None
    last: str | None
    columns: tuple[str, ...]
    made_at: str
    made_by: str


class Line(msgspec.Struct):
    """An event in the file."""

    ts: str
    batch: int
    n: int
    source: str
    type: str
    subject: str
    id: str
    data: msgspec.Raw


class _Hashed:
    """A file that knows the digest of what was written to it."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.digest, self.size = file, hashlib.sha256(), 0

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        self.size += len(data)
        return self.file.write(data)

    def flush(self) -> None:
        self.file.flush()


def folder() -> Path:
    """Where the files are (METERBOOK_ARCHIVE), made when it is not there."""
    place = Path(settings.ARCHIVE_DIR)
    place.mkdir(parents=True, exist_ok=True)
    return place


def write(month: str, *, made_at: datetime, made_by: str, report: Report) -> Manifest:
    """Write the month's events, as one statement sees them, to a file named by its content, and its manifest.

    A file appears under its name only when it is whole and on the disk; one that is there already is never changed.
    """
    place = folder()
    part = place / f"{month}.part"
    with part.open("wb") as file:
        hashed = _Hashed(file)
        # Neither name nor time in the file: the same events make the same bytes.
        with gzip.GzipFile("", "wb", LEVEL, hashed, mtime=0) as packed:
            events, first, last = _copy_out(month, packed, report)
        file.flush()
        os.fsync(file.fileno())
    sha256 = hashed.digest.hexdigest()
    name = f"events-{month}-{sha256[:12]}.ndjson.gz"
    manifest = Manifest(
        FORMAT, month, name, events, sha256, hashed.size, first, last, COLUMNS, made_at.isoformat(), made_by
    )
    part.replace(place / name)
    part.write_text(json.dumps(asdict(manifest), indent=2) + "\n")
    part.replace(_manifest_path(name))
    _sync(place)
    return manifest


def _copy_out(month: str, file: gzip.GzipFile, report: Report) -> tuple[int, str | None, str | None]:
    """Write a line an event; how many there were, the first and the last time."""
    count, first, last = 0, b"", b""
    connection.ensure_connection()
    statement = _OUT.replace("{table}", table_of(month))
    with (
        connection.wrap_database_errors,
        psycopg.Cursor(connection.connection) as cursor,
        cursor.copy(statement) as rows,
    ):
        for row in rows:
            line = bytes(row)
            file.write(line)
            time = line[_TIME]
            first = min(first, time) if first else time
            last = max(last, time)
            count += 1
            if count % 50_000 == 0:
                report(count)
    return count, first.decode() or None, last.decode() or None


def verify(name: str, sha256: str, events: int, month: str) -> None:
    """Read the file through; ArchiveDamaged unless it and its manifest are what was exported."""
    path = folder() / name
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ArchiveDamaged(path, f"cannot be read ({error.strerror})") from error
    if found != sha256:
        raise ArchiveDamaged(path, f"is damaged or another file (SHA-256 {found}, exported was {sha256})")
    manifest = _manifest(path)
    if (manifest.month, manifest.sha256, manifest.events) != (month, sha256, events):
        raise ArchiveDamaged(_manifest_path(name), f"is the manifest of another file than that of {month}")


def _manifest(path: Path) -> Manifest:
    beside = _manifest_path(path.name)
    try:
        read = json.loads(beside.read_bytes())
        manifest = Manifest(**{field.name: read[field.name] for field in fields(Manifest)})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArchiveDamaged(beside, "is missing, or no manifest") from error
    if manifest.format != FORMAT:
        raise ArchiveDamaged(beside, f"has the format “{manifest.format}”, and this version reads “{FORMAT}”")
    return manifest


def load(name: str, month: str, *, report: Report) -> int:
    """Put the file's events into the month's table, exactly as they were; how many. The caller holds the transaction.

    `verify` it first. ArchiveDamaged when it cannot be unpacked or a line is no event.
    """
    path, count = folder() / name, 0
    try:
        with gzip.open(path, "rb") as file:
            decode = msgspec.json.Decoder(Line).decode
            while lines := [decode(line) for line in islice(file, LINES)]:
                _copy_in(month, lines)
                count += len(lines)
                report(count)
    except (OSError, EOFError, msgspec.DecodeError) as error:
        raise ArchiveDamaged(path, f"cannot be read at event {count + 1:,} or soon after ({error})") from error
    return count


def _copy_in(month: str, lines: list[Line]) -> None:
    sources = names.sources.resolve({line.source for line in lines})
    types = names.types.resolve({line.type for line in lines})
    subjects = names.subjects.resolve({line.subject for line in lines})
    statement = f"COPY {table_of(month)} (batch, n, source_id, type_id, subject_id, ts, id, data) FROM STDIN"
    text = "".join(
        f"{e.batch}\t{e.n}\t{sources[e.source]}\t{types[e.type]}\t{subjects[e.subject]}\t{e.ts}"
        f"\t{_escaped(e.id)}\t{_escaped(str(e.data, 'utf-8'))}\n"
        for e in lines
    )
    raw = connection.connection
    with connection.wrap_database_errors, psycopg.Cursor(raw) as cursor, cursor.copy(statement) as copy:
        copy.write(text)


def _escaped(text: str) -> str:
    """A text as COPY reads it."""
    if "\\" not in text and "\t" not in text and "\n" not in text and "\r" not in text:
        return text
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def _manifest_path(name: str) -> Path:
    return folder() / f"{name.removesuffix('.ndjson.gz')}.manifest.json"


def _sync(place: Path) -> None:
    """Bring the folder's names to the disk."""
    handle = os.open(place, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
