"""`manage.py verify INVOICE... | --all`: recompute invoices from the facts as they were known, and compare."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from billing.invoicing.models import Invoice
from billing.invoicing.states import NUMBERED, RECORDED
from billing.verification.services import verify


class Command(BaseCommand):
    help = "Compute issued invoices once more from the facts as they were known, and say whether they are equal."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("invoice", nargs="*", metavar="INVOICE", help="numbers, e.g. INV-000001")
        parser.add_argument("--all", action="store_true", help="every issued invoice")

    def handle(self, *args: Any, invoice: list[str], all: bool, **options: Any) -> None:
        if bool(invoice) == all:
            raise CommandError("Name invoices by their numbers, or say --all.")
        counts = {"equal": 0, "different": 0, "untold": 0}
        for each in verify(invoice_ids=_ids(invoice)):
            counts[each.result] += 1
            if invoice or each.result != "equal":
                self.stdout.write(f"  {each.invoice}: {_WORDS[each.result]}")
            for reason in each.reasons:
                self.stdout.write(f"    {reason}")
        self.stdout.write(
            f"Verified {sum(counts.values()):,}: {counts['equal']:,} equal, {counts['different']:,} different,"
            f" {counts['untold']:,} that cannot be told."
        )
        if counts["different"]:
            raise CommandError("Some invoices are not what their facts come to: the reasons stand above.")


_WORDS = {"equal": "equal", "different": "different", "untold": "cannot be told"}


def _ids(numbers: list[str]) -> list[int]:
    """The invoices' ids; all issued ones where no number is given."""
    if not numbers:
        return list(Invoice.objects.filter(state__in=NUMBERED).values_list("id", flat=True))
    found = dict(Invoice.objects.filter(number__in=numbers, state__in=RECORDED).values_list("number", "id"))
    if missing := sorted(set(numbers) - found.keys()):
        raise CommandError(f"There is no invoice {', '.join(missing)}: look up its number in the admin.")
    return list(found.values())
