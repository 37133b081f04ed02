"""The taxes of an invoice as its document shows them: per rate, and the texts that must be printed."""

from collections.abc import Iterable
from dataclasses import dataclass

from billing.invoicing.formatting import Format, breakable
from billing.invoicing.taxes.models import InvoiceTax
from customers.models import TaxTreatment


@dataclass(frozen=True, slots=True)
class PrintedTax:
    """A row of the totals: what tax, of how much, how much. `label` is “VAT 19 %”."""

    label: str
    net: str
    amount: str


def printed_taxes(taxes: Iterable[InvoiceTax], write: Format) -> tuple[list[PrintedTax], list[str]]:
    """The rows, and the texts that must be printed, each once; empty where nothing is said of tax."""
    taxes = list(taxes)
    rows = [PrintedTax(label(each, write), write.amount(each.net), write.amount(each.tax)) for each in taxes]
    return rows, [breakable(note, 60) for note in dict.fromkeys(each.note for each in taxes if each.note)]


def label(tax: InvoiceTax, write: Format) -> str:
    """“VAT 19 %”; what is not taxed has no rate."""
    if tax.treatment != TaxTreatment.Treatment.STANDARD:
        return breakable(tax.name)
    return breakable(f"{tax.name} {write.quantity(tax.percentage)} %")
