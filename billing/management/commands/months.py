"""`manage.py months`: the months of events, in the database and in the archive."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from billing.metering.months import archive, queries, services
from billing.metering.months.errors import MonthError
from billing.metering.months.models import EventMonth
from billing.metering.months.states import MonthState
from config import clock


class Command(BaseCommand):
    help = "List the months of events; make one, export one to the archive, detach it, restore it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("verb", choices=["list", "make", "export", "detach", "restore"], nargs="?", default="list")
        parser.add_argument("month", nargs="*", metavar="MONTH", help="e.g. 2023-11; make: empty for those ahead")

    def handle(self, *args: Any, verb: str, month: list[str], **options: Any) -> None:
        if verb == "list":
            return self._list()
        if verb == "make" and not month:
            made = services.make_ahead(now=clock.now())
            self.stdout.write(f"The tables of {', '.join(made)} are there.")
        elif not month:
            raise CommandError(f"Say which month: manage.py months {verb} 2023-11.")
        for each in month:
            try:
                self.stdout.write(getattr(self, f"_{verb}")(each))
            except MonthError as error:
                raise CommandError(str(error)) from error

    def _list(self) -> None:
        months = list(EventMonth.objects.order_by("month"))
        sizes = queries.sizes(row.month for row in months)
        for row in months:
            size = sizes.get(row.month)
            late = "late " if row.state == MonthState.DETACHED else ""
            here = "no table" if size is None else f"{'' if size.exact else 'about '}{size.events:,} {late}events here"
            filed = f"; {row.events:,} events in {row.file}" if row.file else ""
            self.stdout.write(f"{row}  {row.state:8}  {here}{filed}")
        if not months:
            self.stdout.write("There are no events yet. “manage.py months make” makes the tables ahead.")

    def _make(self, month: str) -> str:
        services.make(month=month)
        return f"The table of {month} is there."

    def _export(self, month: str) -> str:
        row = services.export(month=month, now=clock.now(), report=self._tell)
        return f"{month}: {row.events:,} events exported to {archive.folder() / row.file}, SHA-256 {row.sha256}."

    def _detach(self, month: str) -> str:
        row = services.detach(month=month, now=clock.now())
        return (
            f"{month}: detached. Its {row.events:,} events are in {archive.folder() / row.file}; their ids stay known."
        )

    def _restore(self, month: str) -> str:
        if not EventMonth.objects.filter(month=queries.first_day(month), state=MonthState.DETACHED).exists():
            return f"{month}: is not detached, nothing is to be restored."
        row = services.restore(month=month, now=clock.now(), report=self._tell)
        return f"{month}: {row.events:,} events are back; the month is {row.state}."

    def _tell(self, count: int) -> None:
        self.stderr.write(f"\r{count:,} events", ending="")
