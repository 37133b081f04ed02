"""Take a report of mail that came back from standard input, as a mail server hands it over."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from billing.invoicing.delivery.bounces import NoBounce, read_bounce
from billing.invoicing.delivery.services import take_bounce


class Command(BaseCommand):
    help = "Take a report of mail that came back (RFC 3464) from standard input and mark the e-mail of the invoice."

    def handle(self, *args: Any, **options: Any) -> None:
        """Mark the message; what is no report, or tells of no message of ours, is an error."""
        try:
            bounce = read_bounce(sys.stdin.buffer.read())
            delivery = take_bounce(bounce=bounce)
        except NoBounce as error:
            raise CommandError(str(error)) from error
        for address, reason in bounce.reasons.items():
            self.stdout.write(f"{delivery.invoice} came back from {address}: {reason}")
