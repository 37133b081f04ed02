"""Import usage from a CSV file."""

import csv
import io
from argparse import RawDescriptionHelpFormatter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from billing.metering.csv_import import ImportReport, RowProblem, import_csv
from billing.metering.csv_mapping import IDS, CsvMapping, from_options
from billing.metering.errors import ImportMappingError
from billing.metering.rollups import services as rollups
from config import clock

EXAMPLE = """
Example, for a file with the header TIMESTAMP,ContextTokens,GeneratedTokens:

  manage.py import_usage trace.csv --column time=TIMESTAMP --zone UTC \\
      --constant type=inference --constant subject=acme \\
      --data input=ContextTokens:number --data output=GeneratedTokens:number

The same as a file for --mapping:

  {"columns": {"time": "TIMESTAMP"}, "zone": "UTC",
   "constants": {"type": "inference", "subject": "acme"},
   "data": {"input": {"column": "ContextTokens", "kind": "number"},
            "output": {"column": "GeneratedTokens", "kind": "number"}}}
"""


class Command(BaseCommand):
    """`manage.py import_usage FILE`: good rows become events, bad rows go to an errors file with their reason."""

    help = "Import usage events from a CSV file. Importing it again adds nothing; a longer export adds its new rows."

    def create_parser(self, *args: Any, **kwargs: Any) -> CommandParser:
        return super().create_parser(*args, epilog=EXAMPLE, formatter_class=RawDescriptionHelpFormatter, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options; those of the command line overrule the mapping's file."""
        parser.add_argument("file", help="the CSV file, in UTF-8; its first line names the columns")
        parser.add_argument(
            "--column", action="append", default=[], metavar="FIELD=COLUMN",
            help="the column that is the id, type, subject or time",
        )  # fmt: skip
        parser.add_argument(
            "--constant", action="append", default=[], metavar="FIELD=VALUE",
            help="the type or subject of every row",
        )  # fmt: skip
        parser.add_argument(
            "--data", action="append", default=[], metavar="NAME=COLUMN[:KIND]",
            help="a column that becomes a property; KIND is number or string, else as each cell looks"
            " (default: every column that is nothing else)",
        )  # fmt: skip
        parser.add_argument("--zone", help="time zone of times that carry none, e.g. UTC or Europe/Berlin")
        parser.add_argument(
            "--ids", choices=IDS,
            help="what makes a row's id: its number (default), the id column, or its content (equal rows count once)",
        )  # fmt: skip
        parser.add_argument(
            "--source", help="who sent the rows (default: file:NAME); one source for all exports of one system"
        )
        parser.add_argument("--mapping", metavar="JSON", help="a file that holds the mapping")
        parser.add_argument("--delimiter", default=",", help="between cells (default: a comma; “tab” for a tab)")
        parser.add_argument("--errors", metavar="CSV", help="where bad rows go (default: FILE.errors.csv)")
        parser.add_argument("--dry-run", action="store_true", help="say what would happen, and store nothing")

    def handle(self, **options: Any) -> None:
        """Run the import and print what became of the rows."""
        path = Path(options["file"])
        errors = Path(options["errors"] or f"{path}.errors.csv")
        delimiter = "\t" if options["delimiter"] == "tab" else options["delimiter"]
        if len(delimiter) != 1:
            raise CommandError(f"--delimiter {delimiter!r}: give one character, or “tab”.")
        try:
            mapping = from_options(
                file=options["mapping"], columns=options["column"], constants=options["constant"],
                data=options["data"], zone=options["zone"], ids=options["ids"], source=options["source"],
            )  # fmt: skip
            report = self._import(path, mapping, errors, delimiter, options["dry_run"])
            rollups.catch_up()
        except ImportMappingError as error:
            raise CommandError(str(error)) from None
        except OSError as error:
            raise CommandError(f"{error.filename or path}: {error.strerror}.") from None
        self._print(report, path, errors, options["dry_run"])

    def _import(self, path: Path, mapping: CsvMapping, errors: Path, delimiter: str, dry_run: bool) -> ImportReport:
        """Import the file with a progress bar, which a terminal shows and a log does not."""
        source = mapping.source or f"file:{path.name}"
        mapping = CsvMapping(mapping.columns, mapping.constants, mapping.data, mapping.zone, mapping.ids, source)
        with ExitStack() as stack:
            binary = stack.enter_context(path.open("rb"))
            bar = stack.enter_context(tqdm(total=path.stat().st_size, unit="B", unit_scale=True, disable=None))
            stream = io.TextIOWrapper(binary, encoding="utf-8-sig", errors="surrogateescape", newline="")
            return import_csv(
                stream=stream,
                mapping=mapping,
                origin=f"import {path.name}",
                now=clock.now(),
                on_problem=_errors_file(errors, stack),
                on_batch=lambda report: bar.update(binary.tell() - bar.n) and None,
                delimiter=delimiter,
                dry_run=dry_run,
            )

    def _print(self, report: ImportReport, path: Path, errors: Path, dry_run: bool) -> None:
        """The counts, and what to do about rows that do not count."""
        begin = "Dry run, nothing stored: " if dry_run else ""
        self.stdout.write(
            f"{begin}{report.rows:,} rows read from {path.name}: {report.accepted:,} accepted,"
            f" {report.duplicates:,} duplicates, {report.conflicts:,} conflicts, {report.rejected:,} rejected."
        )
        if report.conflicts or report.rejected:
            self.stdout.write(f"The rows that do not count, each with its reason: {errors}")
        if report.conflicts:
            self.stdout.write(
                "Conflicts are rows whose id is stored from this source with another content. If this is another file"
                " of the same name, give it a --source of its own."
            )


def _errors_file(path: Path, stack: ExitStack) -> Callable[[RowProblem], None]:
    """A function that writes problems to a CSV file, which is made with the first of them."""
    writers: list[Any] = []

    def write(problem: RowProblem) -> None:
        if not writers:
            stream = stack.enter_context(path.open("w", encoding="utf-8", errors="backslashreplace", newline=""))
            writers.append(csv.writer(stream))
            writers[0].writerow(["row", "code", "reason", "text"])
        writers[0].writerow([problem.row, problem.code, problem.message, problem.text])

    return write
