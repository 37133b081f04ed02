"""Measure events by a meter that need not exist yet."""

import json
import sys
from argparse import RawDescriptionHelpFormatter
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing.metering.cases import measure_case, read_json

EXAMPLE = """
Example:

  [{"id": 1, "meter": {"aggregation": "sum", "value": "input + 4 * output"},
    "events": [{"id": "a", "time": "2026-01-05T10:00:00Z", "data": {"input": 5, "output": 6}}],
    "period": ["2026-01-01", "2026-02-01"]}]
"""


class Command(BaseCommand):
    """`manage.py measure FILE`: what a meter would count of given events, and the fate of each; nothing is stored."""

    help = "Try a meter on events before it is saved: a JSON list of cases in, a JSON list of answers out."
    requires_system_checks = []  # no database is touched, and none needs to be there

    def create_parser(self, *args: Any, **kwargs: Any) -> CommandParser:
        return super().create_parser(*args, epilog=EXAMPLE, formatter_class=RawDescriptionHelpFormatter, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the one argument."""
        parser.add_argument("file", help="the JSON file with the cases; - reads standard input")

    def handle(self, **options: Any) -> None:
        """Answer the cases in their order; exit status 1 when one of them is in error."""
        answers = [measure_case(case) for case in _cases(options["file"])]
        self.stdout.write(json.dumps(answers, indent=1, default=str))
        if any("error" in answer for answer in answers):
            sys.exit(1)


def _cases(file: str) -> list[Any]:
    """The cases of a file; CommandError when it is no JSON list."""
    try:
        raw = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        cases = read_json(raw.decode("utf-8-sig"))
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise CommandError(f"{file} is not UTF-8 at byte {error.start}; encode it as UTF-8.") from None
    except json.JSONDecodeError as error:
        raise CommandError(f"{file} is no JSON at line {error.lineno}, column {error.colno}: {error.msg}.") from None
    except RecursionError:
        raise CommandError(f"{file} is nested too deep to be read.") from None
    if not isinstance(cases, list):
        raise CommandError(f"{file} holds no list; write a JSON list of cases.")
    return cases
