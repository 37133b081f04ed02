"""What became of an action on several invoices: those done, and those skipped with the reason."""

from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal

from billing.invoicing.models import Invoice


@dataclass(frozen=True)
class BulkResult:
    """Invoices that an action did, and those that it left alone, each with a sentence saying why."""

    done: list[Invoice] = field(default_factory=list)
    skipped: list[tuple[Invoice, str]] = field(default_factory=list)

    def total_by_currency(self) -> dict[str, Decimal]:
        """The sum of what was done, by currency in the order of its code."""
        totals: defaultdict[str, Decimal] = defaultdict(Decimal)
        for invoice in self.done:
            totals[invoice.currency] += invoice.total
        return dict(sorted(totals.items()))
