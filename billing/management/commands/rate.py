"""Rate usage at a price that need not exist yet."""

from typing import Any

from billing.management.case_files import CasesCommand
from billing.pricing.cases import rate_case, read_json

EXAMPLE = """
Example:

  [{"id": 1, "price": {"model": "per_unit", "unit_amount": "0.10", "free_quantity": "100"},
    "usage": {"quantity": "1500"}}]
"""


class Command(CasesCommand):
    """`manage.py rate FILE`: what usage costs at a price, with the steps; nothing is read or stored."""

    help = "Try a price on usage before it is saved: a JSON list of cases in, a JSON list of answers out."
    example = EXAMPLE

    def handle(self, **options: Any) -> None:
        """Answer the cases in their order; exit status 1 when one of them is in error."""
        self.answer(options["file"], read_json, rate_case)
