"""What stands on an invoice's document, as texts ready to print: from its copies at issue, or live for a draft."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import cast

from babel import Locale

from billing.invoicing.formatting import Format, breakable, share_in_days
from billing.invoicing.late.wording import late_in_words
from billing.invoicing.manual.queries import printed_notes
from billing.invoicing.models import Invoice, InvoiceLine
from billing.invoicing.sections import Heading, sections
from billing.invoicing.shown import shown_steps
from billing.invoicing.snapshots import (
    Buyer,
    Seller,
    Terms,
    buyer_snapshot,
    contracts_on,
    seller_snapshot,
    terms_snapshot,
)
from billing.invoicing.states import InvoiceState
from billing.pricing.words import plural
from customers.logos import Logo, logo_of

NOT_ISSUED = "an invoice that is not yet issued"


@dataclass(frozen=True, slots=True)
class PrintedStep:
    """A row below a line: how its amount came about, or what it corrects. Texts may be empty."""

    label: str
    quantity: str = ""
    amount: str = ""


@dataclass(frozen=True, slots=True)
class PrintedLine:
    """A line: what, for which days, how many, how much, and the rows that explain it."""

    description: str
    period: str
    quantity: str
    unit: str
    amount: str
    steps: tuple[PrintedStep, ...]


@dataclass(frozen=True, slots=True)
class PrintedSection:
    """The lines of a contract, under a title where there are several, and label and amount of what they add up to."""

    title: str
    lines: list[PrintedLine]
    sums: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Party:
    """Seller or buyer as a block of lines."""

    name: str
    address: list[str]
    tax_id: str


@dataclass(frozen=True, slots=True)
class PrintedInvoice:
    """Everything that the template prints. `mark` is empty for an issued invoice, else says that this is none.

    `credit` is what a credit note gives, empty for an invoice.
    """

    title: str
    number: str
    mark: str
    logo: Logo | None
    seller: Party
    buyer: Party
    email: str
    bank_details: list[str]
    period: str
    facts: list[tuple[str, str]]
    currency: str
    sections: list[PrintedSection]
    net: str
    tax: str
    total: str
    nothing_due: bool
    credit: str
    due_date: str
    net_days: int
    notes: list[list[str]]


def printed_invoice(invoice: Invoice) -> PrintedInvoice:
    """The invoice as its document shows it, in two queries whatever the number of lines."""
    issued = invoice.state == InvoiceState.ISSUED
    seller = cast(Seller, invoice.seller) if issued else seller_snapshot(invoice.entity)
    buyer = cast(Buyer, invoice.buyer) if issued else buyer_snapshot(invoice.customer)
    terms = cast(Terms, invoice.terms) if issued else terms_snapshot(contracts_on(invoice))
    write = Format(locale=buyer["locale"], currency=invoice.currency)
    lines = list(invoice.lines.select_related("corrects__invoice", "stream").order_by("position"))
    period = service_period(lines, write, terms["timezone"])
    return PrintedInvoice(
        title=invoice.get_kind_display(),
        number=invoice.number or "",
        mark="" if issued else "DRAFT",
        logo=logo_of(seller.get("logo", "")),
        seller=_party(seller["name"], _address(seller["address"], seller["country"]), seller["tax_id"]),
        buyer=_party(buyer["legal_name"], _address(buyer["address"], buyer["country"]), buyer["tax_id"]),
        email=breakable(seller["email"]),
        bank_details=seller["bank_details"],
        period=period,
        facts=_facts(invoice, buyer, terms, period, write),
        currency=invoice.currency,
        sections=_sections(lines, terms, write),
        net=write.amount(invoice.net),
        tax=write.amount(invoice.tax),
        total=write.money(invoice.total),
        nothing_due=invoice.total <= 0,
        credit=write.money(-invoice.total) if invoice.kind == Invoice.Kind.CREDIT_NOTE else "",
        due_date=write.day(invoice.due_date) if invoice.due_date else "",
        net_days=terms["net_days"],
        notes=[[breakable(line) for line in note.splitlines()] for note in printed_notes(invoice)],
    )


def service_period(lines: Iterable[InvoiceLine], write: Format, timezone: str) -> str:
    """The days from the first to the last that the lines bill; adjustments of earlier invoices do not stretch it."""
    every = list(lines)
    billed = [line for line in every if line.corrects_id is None] or every
    if not billed:
        return ""
    start, end = min(line.service_start for line in billed), max(line.service_end for line in billed)
    return write.period(start, end, timezone)


def _facts(invoice: Invoice, buyer: Buyer, terms: Terms, period: str, write: Format) -> list[tuple[str, str]]:
    """Label and value of each row of the box beside the buyer; what is not known has no row."""
    rows = [
        ("Invoice number" if invoice.kind == Invoice.Kind.INVOICE else "Number", invoice.number or ""),
        ("Issue date", write.day(invoice.issue_date) if invoice.issue_date else ""),
        ("Due date", write.day(invoice.due_date) if invoice.due_date and invoice.total > 0 else ""),
        ("Service period", period),
        ("PO number", terms["po_number"]),
        ("Contract", terms["contract"]),
        ("Customer number", buyer["external_id"]),
    ]
    return [(label, breakable(value, 20)) for label, value in rows if value]


def _sections(lines: Iterable[InvoiceLine], terms: Terms, write: Format) -> list[PrintedSection]:
    """The lines by contract; each contract's days are cut in its own zone."""
    contracts = {each["id"]: each for each in terms.get("contracts", ())}

    def heading(line: InvoiceLine) -> Heading:
        known = contracts.get(line.stream.contract_id)
        if known is None:  # issued before invoices could hold several: all is of one contract
            return Heading(0, "", terms["contract"])
        return Heading(known["id"], known["customer"], known["contract"], known["po_number"])

    def zone(line: InvoiceLine) -> str:
        known = contracts.get(line.stream.contract_id)
        return known["timezone"] if known else terms["timezone"]

    return [
        PrintedSection(
            title=breakable(each.title, 60),
            lines=[_line(line, write, zone(line)) for line in each.lines],
            sums=[(breakable(label, 60), write.amount(amount)) for label, amount in each.sums],
        )
        for each in sections((heading(line), line.amount, line) for line in lines)
    ]


def _line(line: InvoiceLine, write: Format, timezone: str) -> PrintedLine:
    return PrintedLine(
        description=breakable(line.description),
        period=write.period(line.service_start, line.service_end, timezone),
        quantity="" if line.quantity is None else write.quantity(line.quantity),
        unit=plural(line.unit, Fraction(line.quantity or 0)) if line.unit else "",
        amount=write.amount(line.amount),
        steps=tuple(_steps(line, write, timezone)),
    )


def _steps(line: InvoiceLine, write: Format, timezone: str) -> Iterator[PrintedStep]:
    """What a line corrects, how its amount came about, and what is not the whole of it."""
    if line.corrects is not None:
        other = line.corrects.invoice.number
        yield PrintedStep(f"Adjustment to {f'{other}, line {line.corrects.position}' if other else NOT_ISSUED}")
    if told := late_in_words(line.late, line.quantity, line.unit, write.quantity):
        yield PrintedStep(breakable(told))
    share = share_in_days(line.service_start, line.service_end, line.fraction, timezone)
    for step in shown_steps(line.steps):
        label = f"Prorated: {share}" if step["label"].startswith("Prorated: ") else write.label(step["label"])
        yield PrintedStep(
            label=breakable(label),
            quantity=write.quantity(Decimal(step["quantity"])) if step["quantity"] is not None else "",
            amount=write.addend(Decimal(step["amount"])),
        )
    if share and not line.steps:
        yield PrintedStep(f"Prorated: {share}")
    if line.billed_before:  # the steps show all usage: without it they would not explain the difference
        yield PrintedStep("Already billed", amount=write.amount(-line.billed_before))


def _address(lines: list[str], country: str) -> list[str]:
    """The lines of an address with the country's English name at its end."""
    name = Locale("en").territories.get(country, country) if country else ""
    known = {line.casefold() for line in lines}
    return [*lines, name] if name and not known & {name.casefold(), country.casefold()} else lines


def _party(name: str, address: list[str], tax_id: str) -> Party:
    return Party(breakable(name), [breakable(line) for line in address], breakable(tax_id))
