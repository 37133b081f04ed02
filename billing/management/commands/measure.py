"""Measure events by a meter that need not exist yet."""

from typing import Any

from billing.management.case_files import CasesCommand
from billing.metering.cases import measure_case, read_json

EXAMPLE = """
Example:

  [{"id": 1, "meter": {"aggregation": "sum", "value": "input + 4 * output"},
    "events": [{"id": "a", "time": "2026-01-05T10:00:00Z", "data": {"input": 5, "output": 6}}],
    "period": ["2026-01-01", "2026-02-01"]}]
"""


class Command(CasesCommand):
    """`manage.py measure FILE`: what a meter would count of given events, and the fate of each; nothing is stored."""

    help = "Try a meter on events before it is saved: a JSON list of cases in, a JSON list of answers out."
    example = EXAMPLE

    def handle(self, **options: Any) -> None:
        """Answer the cases in their order; exit status 1 when one of them is in error."""
        self.answer(options["file"], read_json, measure_case)
