"""The taxes of an invoice as its page shows them."""

from billing.invoicing.models import Invoice
from customers.backoffice import amount_text, quantity_text
from customers.models import TaxTreatment


def shown_taxes(invoice: Invoice) -> list[dict[str, str]]:
    """What tax, on how much, how much, and the text that is printed; one query."""
    return [
        {
            "label": tax.name
            if tax.treatment != TaxTreatment.Treatment.STANDARD
            else f"{tax.name} {quantity_text(tax.percentage)} %",
            "net": amount_text(tax.net, invoice.currency),
            "tax": amount_text(tax.tax, invoice.currency),
            "note": tax.note,
        }
        for tax in invoice.taxes.all()
    ]
