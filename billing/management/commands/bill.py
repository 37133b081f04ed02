"""`manage.py bill --as-of DATE`: bring every contract's draft up to date, and say what came of it."""

from argparse import ArgumentParser
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from billing.invoicing.models import RunOutcome
from billing.invoicing.services import run_billing
from config import clock
from customers.models import Contract

NOTABLE = [RunOutcome.Result.HELD, RunOutcome.Result.FAILED]


class Command(BaseCommand):
    help = "Draft what fell due up to the start of a day, in each contract's time zone. A second run changes nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--as-of", required=True, type=_day, metavar="DATE", help="e.g. 2023-12-01")
        parser.add_argument(
            "--full", action="store_true", help="compute every contract, those too of which nothing can have changed"
        )
        parser.add_argument("--contract", action="append", metavar="NUMBER", help="bill these contracts only")

    def handle(self, *args: Any, as_of: date, contract: list[str] | None, full: bool = False, **options: Any) -> None:
        run = run_billing(as_of=as_of, now=clock.now(), contract_ids=_ids(contract), full=full)
        outcomes = list(run.outcomes.select_related("contract", "invoice", "contract__customer"))
        for outcome in outcomes:
            if outcome.invoice and outcome.result == RunOutcome.Result.DRAFTED:
                invoice = outcome.invoice
                self.stdout.write(
                    f"  {outcome.contract}  {outcome.contract.customer}: draft of {invoice.currency} {invoice.total:,}"
                )
            elif outcome.result in NOTABLE:
                self.stdout.write(f"  {outcome.contract}  {outcome.get_result_display().lower()}: {outcome.reason}")
        counts = {result: sum(each.result == result for each in outcomes) for result in RunOutcome.Result.values}
        counts[RunOutcome.Result.UNCHANGED] += run.left_out
        self.stdout.write(
            f"Billed as of {as_of}: {', '.join(f'{count} {result}' for result, count in counts.items())}."
        )
        if counts[RunOutcome.Result.FAILED]:
            raise CommandError("Some contracts failed: the reasons stand above and with the billing run.")


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise CommandError(f"“{text}” is no date: write it as YYYY-MM-DD, e.g. 2023-12-01.") from error


def _ids(numbers: list[str] | None) -> list[int] | None:
    if numbers is None:
        return None
    found = dict(Contract.objects.filter(number__in=numbers).values_list("number", "id"))
    missing = sorted(set(numbers) - found.keys())
    if missing:
        raise CommandError(f"There is no contract {', '.join(missing)}: look up its number in the admin.")
    return list(found.values())
