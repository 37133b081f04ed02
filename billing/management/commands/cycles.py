"""Foresee what a contract will be invoiced, when, and for which part of a period."""

from typing import Any

from billing.invoicing.cycle_cases import cycles_case
from billing.management.case_files import CasesCommand
from billing.pricing.cases import read_json

EXAMPLE = """
Examples:

  [{"id": 1, "through": "2026-04-30",
    "terms": {"cadence": "P1M", "start": "2026-01-20", "anchor_day": 1, "amount": "100"}},
   {"id": 2, "prorate": {"period": ["2026-01-01", "2026-02-01"], "at": "2026-01-17",
    "old_amount": "100", "new_amount": "200", "proration": "day", "timezone": "UTC", "currency": "USD"}}]
"""


class Command(CasesCommand):
    """`manage.py cycles FILE`: the billing calendar and the proration of terms; nothing is read or stored."""

    help = "Foresee what terms will be invoiced: a JSON list of cases in, a JSON list of answers out."
    example = EXAMPLE

    def handle(self, **options: Any) -> None:
        """Answer the cases in their order; exit status 1 when one of them is in error."""
        self.answer(options["file"], read_json, cycles_case)
