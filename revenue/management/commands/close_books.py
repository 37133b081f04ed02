"""`manage.py close_books --entity CODE --month 2023-11`: close a month of a legal entity's books."""

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from config import clock
from revenue.ledger import services
from revenue.ledger.errors import LedgerError
from revenue.management.arguments import entity_of, month_of
from revenue.words import counted, month_name


class Command(BaseCommand):
    """Closes the month, or says what to do first."""

    help = "Close a month of a legal entity's books: nothing posts into it afterwards."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--entity", required=True, help="code of the legal entity")
        parser.add_argument("--month", required=True, type=month_of, help="e.g. 2023-11")
        parser.add_argument(
            "--recognise", action="store_true", help="post the revenue that is left to post up to the month first"
        )
        parser.add_argument("--user", help="name of the user who closes it (default: recorded as nobody)")

    def handle(self, *args: Any, **options: Any) -> None:
        entity, month, user = entity_of(options["entity"]), options["month"], None
        if options["user"]:
            users = get_user_model()
            user = users.objects.filter(**{users.USERNAME_FIELD: options["user"]}).first()
            if user is None:
                raise CommandError(f"There is no user {options['user']}.")
        try:
            period = services.close_period(
                entity=entity, month=month, user=user, now=clock.now(), recognise_first=options["recognise"]
            )
        except LedgerError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"Closed {month_name(month)} of {entity.code} with {counted(period.entries.count(), 'entry')}."
        )
