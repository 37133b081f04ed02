"""`manage.py recognise --through 2023-11`: post the revenue of all months up to that one."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config import clock
from revenue.ledger import services
from revenue.ledger.errors import LedgerError
from revenue.management.arguments import entity_of, month_of
from revenue.words import amounts, counted, money, month_name


class Command(BaseCommand):
    """Says what was posted in a sentence, and by entity and month in a table."""

    help = "Post the revenue of all service months up to one. Running it again posts nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--through", required=True, type=month_of, help="the last month, e.g. 2023-11")
        parser.add_argument("--entity", help="code of a legal entity (default: all)")

    def handle(self, *args: Any, **options: Any) -> None:
        through = options["through"]
        entity = entity_of(options["entity"]) if options["entity"] else None
        try:
            report = services.recognise(through=through, now=clock.now(), entity=entity)
        except LedgerError as error:
            raise CommandError(str(error)) from error
        if not report.entries:
            self.stdout.write(f"Nothing to post: revenue through {month_name(through)} is already recognised.")
            return
        self.stdout.write(
            f"Posted {counted(report.entries, 'entry')} through {month_name(through)}: "
            f"revenue of {amounts(report.amounts)}."
        )
        self.stdout.write(f"\n{'Entity':<12} {'Service month':<14} {'Posted in':<10} {'Event':<18} {'Revenue':>20}")
        for row in report.months:
            self.stdout.write(
                f"{row.entity:<12} {row.month:%Y-%m}        {row.posted_in:%Y-%m}    {row.event.label:<18} "
                f"{money(row.amount, row.currency):>20}"
            )
