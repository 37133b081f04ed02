"""`manage.py rehearse --to DATE`: what will be invoiced until then, with assumed usage, without writing anything."""

import json
from argparse import ArgumentParser
from collections import defaultdict
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from billing.money import plain, round_money
from billing.rehearsal.assumed import Assumption
from billing.rehearsal.errors import BadUsageFile, CannotAssume
from billing.rehearsal.files import usage_of
from billing.rehearsal.services import Foreseen, rehearse
from config import clock
from customers.models import Contract


class Command(BaseCommand):
    help = "Show what will be invoiced up to the start of a day, by month and currency. Nothing is written."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--to", required=True, type=_day, metavar="DATE", help="e.g. 2024-03-01")
        parser.add_argument(
            "--contract", action="append", metavar="NUMBER", help="these contracts only, with their lines"
        )
        parser.add_argument(
            "--assume", default="last", choices=["last", "average", "none"],
            help="usage from now on: as in the last cycle (default), as on average of three, or none",
        )  # fmt: skip
        parser.add_argument("--usage", metavar="FILE", help="CSV with customer, meter and quantity of a cycle")
        parser.add_argument("--json", action="store_true", help="every invoice with its lines, as JSON")

    def handle(self, *args: Any, to: date, contract: list[str] | None, **options: Any) -> None:
        now = clock.now()
        if to <= now.date():
            raise CommandError(f"{to} is not in the future: name a later day.")
        try:
            given = usage_of(Path(options["usage"])) if options["usage"] else None
            assumption = Assumption(now, options["assume"], given)
            found = rehearse(contract_ids=_ids(contract), to=to, assumption=assumption)
            if options["json"]:
                self.stdout.write(json.dumps([_as_json(each) for each in found], indent=1))
            elif contract:
                self._lines(found)
            else:
                self._months(found, to)
        except (BadUsageFile, CannotAssume, OSError) as error:
            raise CommandError(str(error)) from error

    def _lines(self, found: Any) -> None:
        for each in found:
            self.stdout.write(f"{each.day}  {each.payer}: {each.kind.replace('_', ' ')} {_money(each)}")
            if each.problem:
                self.stdout.write(f"    {each.problem}")
            for line in each.lines:
                quantity = f"  {plain(line.quantity)} {line.unit}" if line.quantity is not None else ""
                self.stdout.write(f"    {line.description}{quantity}  {round_money(line.amount, each.currency):,f}")

    def _months(self, found: Any, to: date) -> None:
        totals: dict[tuple[str, str], list[Decimal]] = defaultdict(list)
        held: list[Foreseen] = []
        for each in found:
            if each.problem:
                held.append(each)
            else:
                totals[f"{each.day:%Y-%m}", each.currency].append(each.total)
        for (month, currency), amounts in sorted(totals.items()):
            self.stdout.write(f"  {month}  {_amount(sum(amounts, Decimal(0)), currency)}  {_documents(len(amounts))}")
        for each in held:
            self.stdout.write(f"  {each.day}  {each.payer} would be held: {each.problem}")
        self.stdout.write(f"Rehearsed up to {to}: nothing was written.")


def _money(foreseen: Foreseen) -> str:
    return _amount(foreseen.total, foreseen.currency)


def _amount(amount: Decimal, currency: str) -> str:
    return f"{currency} {round_money(amount, currency):,f}"


def _documents(count: int) -> str:
    return "1 document" if count == 1 else f"{count:,} documents"


def _as_json(foreseen: Foreseen) -> dict[str, Any]:
    """Amounts and quantities as strings."""
    return {
        "day": str(foreseen.day), "payer": foreseen.payer, "kind": foreseen.kind, "currency": foreseen.currency,
        "total": plain(foreseen.total), "problem": foreseen.problem,
        "lines": [
            {
                "customer": line.customer, "contract": line.contract, "kind": line.kind,
                "description": line.description,
                "start": line.start.isoformat(), "end": line.end.isoformat(),
                "quantity": None if line.quantity is None else plain(line.quantity), "unit": line.unit,
                "amount": plain(line.amount),
            }
            for line in foreseen.lines
        ],
    }  # fmt: skip


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise CommandError(f"“{text}” is no date: write it as YYYY-MM-DD, e.g. 2024-03-01.") from error


def _ids(numbers: list[str] | None) -> list[int]:
    contracts = Contract.objects.all() if numbers is None else Contract.objects.filter(number__in=numbers)
    found = dict(contracts.values_list("number", "id"))
    if missing := sorted(set(numbers or []) - found.keys()):
        raise CommandError(f"There is no contract {', '.join(missing)}: look up its number in the admin.")
    return list(found.values())
