"""`manage.py demo`: a year of a plausible AI company in your database, then the admin and the worker to try it with."""

import time
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from config import clock
from config.demo import figures, story
from config.demo.company import LOGINS, PASSWORD
from config.demo.people import PEOPLE
from config.demo.progress import Progress
from config.demo.reset import NotTheDemos, reset
from config.demo.serve import CannotServe, refuse_taken, serve
from config.demo.tell import tell
from config.demo.usage import NotStored

EVENTS = 500_000


class Command(BaseCommand):
    help = "Fill an empty database with a year of an AI company's usage, invoices and books, then serve it."
    requires_system_checks = []  # the database may have nothing in it yet

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--no-serve", action="store_true", help="stop when the story is told")
        parser.add_argument("--reset", action="store_true", help="delete the demo that is there and start afresh")
        parser.add_argument(
            "--events", type=int, default=EVENTS, metavar="N", help=f"usage events; {EVENTS:,} if left out"
        )
        parser.add_argument("--host", default="127.0.0.1", help="address to serve at; 127.0.0.1 if left out")
        parser.add_argument("--port", type=int, default=8000, help="port to serve at; 8000 if left out")

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.PRODUCTION:
            raise CommandError("METERBOOK_PRODUCTION is set, and the demo makes logins with a known password.")
        if options["events"] < 1:
            raise CommandError("--events is a number of at least 1.")
        self.quiet = options["verbosity"] == 0
        host, port = options["host"], options["port"]
        try:
            if not options["no_serve"]:
                refuse_taken(host, port)
            with story.alone():
                self._make(options["events"], fresh=options["reset"])
            self._say(*_addresses(host, port, serving=not options["no_serve"]))
            if not options["no_serve"]:
                connection.close()  # the server stays up for as long as this process lives
                serve(host, port)
        except (story.ForeignDatabase, story.BusyDatabase, NotTheDemos, NotStored, CannotServe) as error:
            raise CommandError(str(error)) from error

    def _make(self, events: int, *, fresh: bool) -> None:
        """Bring the database to the end of the story, from wherever it stands, and say what it holds."""
        begun = time.perf_counter()
        before = Progress(quiet=True)
        if fresh:
            with before.phase("delete"):
                reset()
        with before.phase("migrate"):
            call_command("migrate", verbosity=0, interactive=False)
        told, new = story.begin(now=clock.now(), events=events, people=len(PEOPLE))
        if story.told("done") is not None:
            self._say(f"The demo of {told.now:%Y-%m-%d} stands already; --reset starts afresh.")
        else:
            self._say(
                f"{'Telling' if new else 'Going on with'} a year of Lumen AI, up to {told.now:%Y-%m-%d %H:%M} UTC."
            )
            progress = tell(told, quiet=self.quiet)
            progress.took = before.took | progress.took
            self._say(*figures.times(progress, time.perf_counter() - begun))
        self._say(*figures.holdings())

    def _say(self, *lines: str) -> None:
        for line in [] if self.quiet else lines:
            self.stdout.write(line)


def _addresses(host: str, port: int, *, serving: bool) -> Iterator[str]:
    """Where to go now, and as whom."""
    names = ", ".join(f"{name} ({role})" for name, role in LOGINS.items())
    yield f"Logins: admin (everything), {names}; the password of each is {PASSWORD}"
    key = story.told("api key")
    if key:
        yield f"API key of the demo's gateway: {key['secret']}"
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    if serving:
        yield f"Serving {address}/admin/ and the worker. Stop with Ctrl-C."
    else:
        yield "Serve it with: python manage.py demo"
