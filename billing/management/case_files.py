"""Files of cases: a JSON list in, a JSON list of answers out, as `measure` and `rate` take and give them."""

import json
import sys
from argparse import RawDescriptionHelpFormatter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser


class CasesCommand(BaseCommand):
    """A command that answers the cases of a file in their order, without a database."""

    requires_system_checks = []  # no database is touched, and none needs to be there
    example = ""

    def create_parser(self, *args: Any, **kwargs: Any) -> CommandParser:
        return super().create_parser(*args, epilog=self.example, formatter_class=RawDescriptionHelpFormatter, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the one argument."""
        parser.add_argument("file", help="the JSON file with the cases; - reads standard input")

    def answer(self, file: str, loads: Callable[[str], Any], case: Callable[[object], dict[str, Any]]) -> None:
        """Print the answers; exit status 1 when one of them is in error."""
        answers = [case(each) for each in _cases(file, loads)]
        self.stdout.write(json.dumps(answers, indent=1, default=str))
        if any("error" in answer for answer in answers):
            sys.exit(1)


def _cases(file: str, loads: Callable[[str], Any]) -> list[Any]:
    """The cases of a file; CommandError when it is no JSON list."""
    try:
        raw = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        cases = loads(raw.decode("utf-8-sig"))
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
