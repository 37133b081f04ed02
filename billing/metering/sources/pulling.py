"""The worker's part of a pull source: a run fetches what is new, and each batch commits with the position behind it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import blake2b
from typing import Any
from uuid import UUID

from django.db import InterfaceError, OperationalError

from billing.metering.alerts.models import UsageAlert
from billing.metering.alerts.services import close_alerts
from billing.metering.csv_import import Importing, Outcome, Row, import_rows
from billing.metering.csv_mapping import CsvMapping, from_mapping
from billing.metering.errors import MeteringError
from billing.metering.sources import databases, leases, queries
from billing.metering.sources.addresses import Secrets
from billing.metering.sources.errors import LeaseLost, NotNow
from billing.metering.sources.errors_file import ErrorsFile
from billing.metering.sources.folders import Folder, Found
from billing.metering.sources.models import Counts, PullFile, PullRun, PullSource
from billing.metering.sources.tables import HEAD, Reading, Table, open_table
from billing.metering.sources.uploading import Pause

INTERRUPTED = "The worker ended in the middle; the next run went on from there."


class _Changed(Exception):
    """A file whose first rows are not those that were read from it before."""


@dataclass(frozen=True)
class _Work:
    """What a run carries with it."""

    source: PullSource
    run: PullRun
    lease: UUID
    clock: Callable[[], datetime]
    pause: Pause
    secrets: Secrets
    errors: ErrorsFile

    def record(self, outcome: Outcome, file: str) -> None:
        """Count a batch, and hold on to the lease."""
        position = self.errors.add(file, outcome.problems)
        now, changes = self.clock(), {}
        if outcome.report.accepted and not self.run.dry_run:
            changes = {"last_new_at": now, "silent_since": None}
            if self.source.silent_since:
                close_alerts(kind=UsageAlert.Kind.SOURCE_SILENT, source=self.source.name, now=now)
        leases.renew(PullSource, self.source.pk, self.lease, now, **changes)
        PullRun.objects.filter(pk=self.run.pk).update(**Counts.plus(outcome.report), errors_bytes=position)

    def take_in(
        self, table: Table, rows: Iterator[Row], mapping: CsvMapping, file: str, position: Callable[[Outcome], None]
    ) -> None:
        """Import rows; `position` is written down in the transaction of each batch, but not in a dry run."""

        def record(outcome: Outcome) -> None:
            self.record(outcome, file)
            if not self.run.dry_run:
                position(outcome)

        step: dict[str, Any] = {"after": record} if self.run.dry_run else {"within": record}
        importing = Importing(
            mapping=mapping, origin=f"pull {self.source.name}", now=self.clock, dry_run=self.run.dry_run,
            epoch=table.epoch, **step,
        )  # fmt: skip
        import_rows(header=table.header, rows=self.pause.rows(rows), importing=importing)


def run_pull(
    *,
    source_id: int,
    clock: Callable[[], datetime],
    time_is_up: Callable[[], bool],
    environ: Mapping[str, str],
    user_id: int | None = None,
    dry_run: bool = False,
) -> bool:
    """Fetch what is new; whether some is left for another run. Nothing happens while another run is under way.

    A dry run reads the same, and stores neither events nor positions. A failure is kept on the run and on the source;
    `environ` holds the secrets.
    """
    lease = leases.take(PullSource, source_id, clock())
    if lease is None:
        return False
    now = clock()
    source = PullSource.objects.get(pk=source_id)
    PullRun.objects.filter(source=source, finished_at=None).update(finished_at=now, error=INTERRUPTED)
    run = PullRun.objects.create(source=source, started_at=now, requested_by_id=user_id, dry_run=dry_run)
    errors = ErrorsFile(queries.errors_of(run), 0)
    work = _Work(source, run, lease, clock, Pause(time_is_up), Secrets(environ), errors)
    try:
        error = (_pull_files if source.kind == PullSource.Kind.FILES else _pull_rows)(work)
    except LeaseLost:
        return False
    except (OperationalError, InterfaceError):
        raise
    except MeteringError as failure:
        error = str(failure)
    except Exception as failure:
        said = f"Something unforeseen went wrong ({type(failure).__name__}: {failure})."
        _finish(work, work.secrets.hide(said))
        raise
    _finish(work, error)
    return work.pause.cut


def _finish(work: _Work, error: str) -> None:
    """Write down how the run ended."""
    now = work.clock()
    changes: dict[str, Any] = {} if work.run.dry_run else {"last_run_at": now, "last_error": error}
    if not work.run.dry_run:
        changes["failures"] = work.source.failures + 1 if error else 0
    PullRun.objects.filter(pk=work.run.pk).update(finished_at=now, error=error)
    leases.release(PullSource, work.source.pk, work.lease, **changes)


def mapping_of(source: PullSource) -> CsvMapping:
    """How the source's columns are read; NotNow before somebody said it."""
    if not source.mapping:
        raise NotNow(f"{source}: say what its columns are first.")
    mapping = from_mapping(source.mapping, f"The mapping of {source}")
    return replace(mapping, source=mapping.source or f"pull:{source.name}")


def _pull_files(work: _Work) -> str:
    """Read every file that is new, longer or changed; what went wrong with some, empty when nothing did."""
    folder = Folder(work.source.address, work.source.options, work.secrets)
    known = {file.path: file for file in work.source.files.all()}
    failed = []
    for found in folder.files():
        file = known.get(found.name) or PullFile(source=work.source, path=found.name)
        same = (file.size, file.stamp) == (found.size, found.stamp)
        if same and not file.held and not file.error:
            continue
        try:
            _pull_file(work, folder, found, file, whole=same)
        except LeaseLost:
            raise
        except (MeteringError, OSError) as error:
            failed.append(str(error))
            if not work.run.dry_run:
                PullFile.objects.update_or_create(
                    source=work.source, path=found.name, defaults={"error": str(error), "read_at": work.clock()}
                )
        if work.pause.cut:
            break
    return " ".join([*failed[:3], f"{len(failed) - 3} more files failed." if len(failed) > 3 else ""]).strip()


def _pull_file(work: _Work, folder: Folder, found: Found, file: PullFile, whole: bool) -> None:
    """Read a file behind the rows that are known, or from its start when those have changed."""
    try:
        _read_file(work, folder, found, file, whole)
    except _Changed:
        file.rows, file.digest = 0, ""
        _read_file(work, folder, found, file, whole)


def _read_file(work: _Work, folder: Folder, found: Found, file: PullFile, whole: bool) -> None:
    """Read a file. A last row without an end waits until nobody has written to the file for a whole interval."""
    mapping = mapping_of(work.source)
    if mapping.ids_from == "row":  # numbers of rows mean something within one file only
        mapping = replace(mapping, source=f"{mapping.source}/{found.name}")
    with folder.opened(found) as binary, open_table(binary, found.name, found.size, Reading(whole=whole)) as table:
        digest = blake2b("\x1f".join(table.header).encode("utf-8", "surrogatepass"), digest_size=16)

        def position(outcome: Outcome) -> None:
            _keep(file, rows=outcome.last, digest=digest.hexdigest())

        work.take_in(table, _behind(table.rows, digest, file.rows, file.digest), mapping, found.name, position)
        if not work.pause.cut and not work.run.dry_run:
            stands = {"size": found.size, "stamp": found.stamp, "held": table.held(), "error": ""}
            _keep(file, read_at=work.clock(), **stands)


def _behind(rows: Iterator[Row], digest: Any, start: int, expected: str) -> Iterator[Row]:
    """The rows behind number `start`, all of them added to the digest; _Changed when those before are others."""
    number = 0
    for number, cells in rows:
        text = cells if isinstance(cells, str) else "\x1f".join(cells)
        digest.update(b"\x1e" + text.encode("utf-8", "surrogatepass"))
        if number == start and digest.hexdigest() != expected:
            raise _Changed
        if number > start:
            yield number, cells
    if number < start:
        raise _Changed


def _keep(file: PullFile, **changes: Any) -> None:
    """Write a file's position down."""
    for name, value in changes.items():
        setattr(file, name, value)
    PullFile.objects.update_or_create(source_id=file.source_id, path=file.path, defaults=changes)


def _pull_rows(work: _Work) -> str:
    """Read the rows of the query behind the position."""
    source, mapping = work.source, mapping_of(work.source)
    with databases.opened(
        source.address, source.query, source.cursor_column, source.position, work.secrets
    ) as query:  # fmt: skip

        def position(outcome: Outcome) -> None:
            if query.safe is not None:
                leases.renew(PullSource, source.pk, work.lease, work.clock(), position=query.safe)

        table = Table(query.header, iter(()), [], lambda: 0)
        work.take_in(table, query.rows(), mapping, "", position)
    return ""


@contextmanager
def sample(source: PullSource, environ: Mapping[str, str]) -> Iterator[Table]:
    """The columns and first rows of what a source holds now, to map them. NotNow when there is nothing to look at."""
    secrets = Secrets(environ)
    if source.kind == PullSource.Kind.SQL:
        with databases.opened(source.address, source.query, source.cursor_column, source.position, secrets) as query:
            yield Table(query.header, iter(()), _first(query.rows()), lambda: 0)
        return
    folder = Folder(source.address, source.options, secrets)
    files = folder.files()
    if not files:
        raise NotNow(f"{source.address} holds no CSV file or workbook yet; put one there, then look again.")
    with folder.opened(files[-1]) as binary, open_table(
        binary, files[-1].name, files[-1].size, Reading()
    ) as table:  # fmt: skip
        yield table


def _first(rows: Iterator[Row]) -> list[Row]:
    """The first rows, as many as a page shows."""
    return [row for row, _ in zip(rows, range(HEAD), strict=False)]
