"""Read a plan from a file into a new draft version."""

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing.catalog.errors import CatalogError
from billing.catalog.plan_files import import_plan, preview_import, read_file


class Command(BaseCommand):
    """`manage.py import_plan FILE [--dry-run]`: says what the file changes, then makes a draft version of it."""

    help = "Make a draft version of a plan from JSON (docs/formats.md, A plan); - reads standard input."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the file and the dry run."""
        parser.add_argument("file", help="the file; - reads standard input")
        parser.add_argument("--note", default="", help="what is new in the version, instead of the file's note")
        parser.add_argument("--dry-run", action="store_true", help="say what would change, and save nothing")

    def handle(self, **options: Any) -> None:
        """Say what changes; import it unless this is a dry run."""
        try:
            plan = read_file(_text(options["file"]))
            preview = preview_import(plan)
            self.stdout.write(preview.headline)
            for change in preview.changes:
                self.stdout.write(f"  {change}")
            if not options["dry_run"]:
                version = import_plan(plan, note=options["note"])
                self.stdout.write(f"{version} is a draft: look at it, then publish it.")
        except CatalogError as error:
            raise CommandError(str(error)) from error


def _text(file: str) -> str:
    try:
        raw = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        return raw.decode("utf-8-sig")
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise CommandError(f"{file} is not UTF-8 at byte {error.start}: encode it as UTF-8.") from None
