"""The worker's part of an upload: read the file to its end, batch by batch, and go on where an earlier worker stood."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import InterfaceError, OperationalError

from billing.metering.csv_import import Importing, Outcome, Row, RowProblem, import_rows
from billing.metering.csv_mapping import CsvMapping, from_mapping
from billing.metering.errors import MeteringError
from billing.metering.sources import leases, queries
from billing.metering.sources.errors import LeaseLost
from billing.metering.sources.errors_file import ErrorsFile
from billing.metering.sources.models import Counts, Upload
from billing.metering.sources.states import UploadState
from billing.metering.sources.tables import Reading, Table, open_table

SHOWN = 20
"""Problems that the page of a checked file names."""


class Pause:
    """Rows until the time is up: `cut` says whether some are left."""

    def __init__(self, time_is_up: Callable[[], bool]) -> None:
        self.time_is_up, self.cut = time_is_up, False

    def rows(self, rows: Iterator[Row], first: int = 1) -> Iterator[Row]:
        """The rows from number `first` on; the time is looked at every hundred rows."""
        given = 0
        for number, cells in rows:
            if number < first:
                continue
            yield number, cells
            given += 1
            if given % 100 == 0 and self.time_is_up():  # before a row is taken that would not be given
                self.cut = True
                return


def run_upload(*, upload_id: int, clock: Callable[[], datetime], time_is_up: Callable[[], bool]) -> bool:
    """Check or import an upload, whichever it is to be; whether some is left for another run.

    Nothing happens while another worker is at it. A file that cannot be read ends in “failed”, with the reason; when
    the database goes away the work is left, to be queued again.
    """
    lease = leases.take(Upload, upload_id, clock())
    if lease is None:
        return False
    upload = Upload.objects.select_related("backfill").get(pk=upload_id)
    work = {UploadState.CHECKING: _check, UploadState.IMPORTING: _import}.get(UploadState(upload.state))
    try:
        if work is None:
            leases.release(Upload, upload_id, lease)
            return False
        return work(upload, lease, clock, Pause(time_is_up))
    except LeaseLost:
        return False
    except (OperationalError, InterfaceError):
        raise
    except (MeteringError, OSError) as error:
        leases.release(Upload, upload_id, lease, state=UploadState.FAILED, message=str(error), finished_at=clock())
        return False
    except Exception as error:
        said = f"Something unforeseen went wrong ({type(error).__name__}: {error}); nothing is half done. Try again."
        leases.release(Upload, upload_id, lease, state=UploadState.FAILED, message=said, finished_at=clock())
        raise


def mapping_of(upload: Upload) -> CsvMapping:
    """How the upload's columns are read."""
    return from_mapping(upload.mapping, f"The mapping of {upload.name}")


def _read(
    upload: Upload, errors: ErrorsFile, table: Table, rows: Iterator[Row], clock: Callable[[], datetime], **how: Any
) -> None:
    """Import the rows of the open file."""
    importing = Importing(
        mapping=mapping_of(upload), origin=f"upload {upload.name}", now=clock, epoch=table.epoch, **how
    )  # fmt: skip
    import_rows(header=table.header, rows=rows, importing=importing)


def _check(upload: Upload, lease: UUID, clock: Callable[[], datetime], pause: Pause) -> bool:
    """Read the file and store nothing. It begins anew each time, and ends after one run: a check is an estimate."""
    zero = dict.fromkeys(("rows", "accepted", "duplicates", "conflicts", "rejected", "errors_bytes", "progress"), 0)
    leases.renew(Upload, upload.pk, lease, clock(), **zero)
    errors, effects = ErrorsFile(queries.errors_of(upload), 0), queries.Effects()
    problems: list[RowProblem] = []
    with (
        queries.path_of(upload).open("rb") as binary,
        open_table(binary, upload.name, upload.size, Reading(**upload.reading)) as table,
    ):

        def after(outcome: Outcome) -> None:
            problems.extend(outcome.problems[: SHOWN - len(problems)])
            position = errors.add(upload.name, outcome.problems)
            changes = Counts.plus(outcome.report) | {"errors_bytes": position, "progress": table.progress()}
            leases.renew(Upload, upload.pk, lease, clock(), **changes)

        _read(upload, errors, table, pause.rows(table.rows), clock, dry_run=True, within=effects.add, after=after)
        found = {
            "problems": [[each.row, each.code, each.message, each.text[:200]] for each in problems],
            "effects": effects.as_json(),
            "long_numbers": table.long_numbers(),
            "complete": not pause.cut,
        }
    counts = Upload.objects.values("rows", "accepted", "duplicates", "conflicts", "rejected").get(pk=upload.pk)
    leases.release(Upload, upload.pk, lease, state=UploadState.CHECKED, checked=found | counts, progress=1000)
    return False


def _import(upload: Upload, lease: UUID, clock: Callable[[], datetime], pause: Pause) -> bool:
    """Read the file from the row on at which it stands; each batch commits with the position behind it."""
    errors = ErrorsFile(queries.errors_of(upload), upload.errors_bytes)
    with (
        queries.path_of(upload).open("rb") as binary,
        open_table(binary, upload.name, upload.size, Reading(**upload.reading)) as table,
    ):

        def within(outcome: Outcome) -> None:
            position = errors.add(upload.name, outcome.problems)
            changes = Counts.plus(outcome.report) | {"errors_bytes": position, "progress": table.progress()}
            leases.renew(Upload, upload.pk, lease, clock(), **changes)

        rows = pause.rows(table.rows, upload.rows + 1)
        _read(upload, errors, table, rows, clock, within=within, backfill_id=upload.backfill_id)
    now = clock()
    if pause.cut:
        leases.release(Upload, upload.pk, lease, until=now + leases.PATIENCE)
        return True
    leases.release(Upload, upload.pk, lease, state=UploadState.DONE, progress=1000, finished_at=now)
    return False
