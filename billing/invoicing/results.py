"""What a bulk action did, in a form that a message or a command can print."""

from dataclasses import dataclass, field
from decimal import Decimal

from billing.invoicing.models import Invoice


@dataclass(slots=True)
class BulkResult:
    """The invoices that were done, and those that were skipped with the reason."""

    done: list[Invoice] = field(default_factory=list)
    skipped: list[tuple[Invoice, str]] = field(default_factory=list)

    def total_by_currency(self) -> dict[str, Decimal]:
        """Σ total of the invoices that were done, by currency code."""
        totals: dict[str, Decimal] = {}
        for invoice in self.done:
            totals[invoice.currency] = totals.get(invoice.currency, Decimal(0)) + invoice.total
        return totals
