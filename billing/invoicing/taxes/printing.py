"""The taxes of an invoice as its document shows them: what tax, of how much, how much."""

from collections.abc import Mapping
from dataclasses import dataclass

from billing.invoicing.formatting import Format, breakable
from billing.invoicing.models import Invoice
from billing.invoicing.taxes.models import InvoiceTax
from billing.invoicing.taxes.rules import Tax
from customers.models import TaxTreatment


@dataclass(frozen=True, slots=True)
class PrintedTax:
    """A row of the totals: “VAT 19 %”, “on 100.00”, “19.00”; what is not taxed has no rate."""

    label: str
    on: str
    amount: str


@dataclass(frozen=True, slots=True)
class PrintedTaxes:
    """The rows, and the texts that must be printed, each once."""

    rows: list[PrintedTax]
    notes: list[str]


def printed_taxes(invoice: Invoice, write: Format, labels: Mapping[str, str]) -> PrintedTaxes:
    """All taxes of an invoice in the words of a language; one query."""
    taxes = list(invoice.taxes.all())
    notes = dict.fromkeys(each.note for each in taxes if each.note)
    return PrintedTaxes([printed_tax(each, write, labels) for each in taxes], [breakable(each, 90) for each in notes])


def tax_label(tax: InvoiceTax | Tax, write: Format, labels: Mapping[str, str]) -> str:
    """“VAT 19 %”, or why there is none."""
    if tax.treatment != TaxTreatment.Treatment.STANDARD:
        return labels[tax.treatment]
    return f"{tax.name} {write.quantity(tax.percentage)} %"


def printed_tax(tax: InvoiceTax, write: Format, labels: Mapping[str, str]) -> PrintedTax:
    """The row of one tax, in the words of a language."""
    on = labels["taxed_on"].format(net=write.amount(tax.net))
    return PrintedTax(breakable(tax_label(tax, write, labels)), on, write.amount(tax.tax))
