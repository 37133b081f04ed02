"""`manage.py scenario`: what happens to customers, contracts, plans and events over time, against what is expected."""

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from config.scenario.errors import ScenarioError
from config.scenario.format import schema
from config.scenario.read import read
from config.scenario.run import Result, run
from config.scenario.tell import in_words, to_json


class Command(BaseCommand):
    help = (
        "Run scenario files, each in a transaction that is rolled back, and say where what happens is not what is"
        " expected. Exit status 1 when an expectation fails, 2 when a file is wrong."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("files", nargs="*", metavar="FILE", help="scenario files; - reads standard input")
        parser.add_argument("--json", action="store_true", help="print all actual results as JSON")
        parser.add_argument("--schema", action="store_true", help="print the JSON Schema of scenario files")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["schema"]:
            self.stdout.write(json.dumps(schema(), indent=1, ensure_ascii=False))
            return
        if not options["files"]:
            raise CommandError("Name scenario files, or - to read one from standard input.", returncode=2)
        if MigrationExecutor(connection).migration_plan(MigrationExecutor(connection).loader.graph.leaf_nodes()):
            raise CommandError("The database is not up to date: run python manage.py migrate first.", returncode=2)
        results, wrong = [], False
        for file in options["files"]:
            found = self._run(file)
            if found is None:
                wrong = True
            else:
                results.append(found)
                if not options["json"]:
                    self._tell(found, whole=options["verbosity"] > 1)
        if options["json"]:
            self.stdout.write(json.dumps([to_json(each) for each in results], indent=1, ensure_ascii=False))
        if wrong or not all(each.passed for each in results):
            sys.exit(2 if wrong else 1)

    def _run(self, file: str) -> Result | None:
        """What came of a file; None when it is wrong, which is said."""
        try:
            return run(read(_text(file), file))
        except ScenarioError as error:
            self.stderr.write(f"{file} is no scenario that can be run:")
            for problem in error.problems:
                self.stderr.write(f"  {problem}")
            return None

    def _tell(self, result: Result, *, whole: bool) -> None:
        for line in in_words(result, whole=whole):
            self.stdout.write(line)


def _text(file: str) -> str:
    """The text of a file; CommandError when it cannot be had."""
    try:
        raw = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        return raw.decode("utf-8-sig")
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}.", returncode=2) from None
    except UnicodeDecodeError as error:
        raise CommandError(f"{file} is not UTF-8 at byte {error.start}; encode it as UTF-8.", returncode=2) from None
