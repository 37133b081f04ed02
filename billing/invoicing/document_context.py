"""What stands on an invoice's document, as texts ready to print: from its copies at issue, or live for a draft."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import cast

from babel import Locale

from billing.invoicing.behind.blocks import UsagePages, usage_pages
from billing.invoicing.behind.printed import Printed
from billing.invoicing.formatting import Format, breakable, share_in_days, width
from billing.invoicing.languages.labels import labels_of, language_of
from billing.invoicing.languages.steps import step_in
from billing.invoicing.late.wording import late_in_words
from billing.invoicing.manual.queries import printed_notes
from billing.invoicing.models import Invoice, InvoiceLine
from billing.invoicing.paying import Transfer, code_of, epc_text, reference_of
from billing.invoicing.sections import Heading, sections
from billing.invoicing.settled import used_at_issue
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
from billing.invoicing.states import NUMBERED
from billing.invoicing.taxes.printing import PrintedTaxes, printed_taxes
from billing.invoicing.voiding.printing import printed_reasons
from billing.pricing.words import plural
from customers.banking import compact, grouped
from customers.logos import Logo, logo_of

MOST_STEPS = 120
"""Steps that stand below their lines; where there are more, they stand at the end, and the lines make a summary."""
HOUSE_COLOUR = "#1b2430"
STEP_WIDTH = 54
"""Characters of a step's label that surely stand on one line; kanji and kana count as two."""
FEW_STEPS = 40
"""Steps of which each has a row of its own; where there are more, short ones share one: every cell takes its time."""
STEPS_A_ROW = 8
_VAT = re.compile(
    "(AT|BE|BG|CY|CZ|DE|DK|EE|EL|ES|FI|FR|GB|HR|HU|IE|IT|LT|LU|LV|MT|NL|PL|PT|RO|SE|SI|SK|XI) ?[0-9A-Z]{7}"
)
"""How VAT numbers of the European Union and the United Kingdom begin; other numbers have other names."""


@dataclass(frozen=True, slots=True)
class PrintedStep:
    """A row below a line: how its amount came about, or what it corrects. Texts may be empty."""

    label: str
    quantity: str = ""
    amount: str = ""


@dataclass(frozen=True, slots=True)
class PrintedLine:
    """A line: what, for which days, how many, how much, and the steps that explain it, as rows of the table."""

    description: str
    period: str
    quantity: str
    unit: str
    amount: str
    steps: tuple[PrintedStep, ...]
    step_rows: list[list[PrintedStep]]


@dataclass(frozen=True, slots=True)
class PrintedSection:
    """The lines of a contract, under a title where there are several, and label and amount of what they add up to."""

    title: str
    lines: list[PrintedLine]
    sums: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Party:
    """Seller or buyer as a block of lines; `tax_label` is what such a number is called."""

    name: str
    address: list[str]
    tax_id: str
    tax_label: str


@dataclass(frozen=True, slots=True)
class Look:
    """How the seller's documents look: a colour, a tint of it, and texts by lines."""

    logo: Logo | None
    colour: str
    tint: str
    legal_text: list[str]
    footer: list[str]


@dataclass(frozen=True, slots=True)
class Payment:
    """How to pay: what is said of the due day, what to name, to which bank, and a picture that banking apps read."""

    due: str
    text: str
    reference: str
    bank_details: list[str]
    code: str


@dataclass(frozen=True, slots=True)
class PrintedInvoice:
    """Everything that the template prints. `mark` is empty for an issued invoice, else says that this is none.

    `credit` is what a credit note gives, empty for an invoice; `used` is what the customer's balance settled at issue,
    empty where it settled nothing, and `to_pay` what is left of the total. `labels` are the words of the customer's
    language.
    """

    labels: Mapping[str, str]
    language: str
    title: str
    number: str
    mark: str
    look: Look
    seller: Party
    buyer: Party
    email: str
    bank_details: list[str]
    period: str
    facts: list[tuple[str, str]]
    why: list[str]
    amount_in: str
    sections: list[PrintedSection]
    steps_apart: bool
    usage: UsagePages
    net: str
    tax: str
    taxes: PrintedTaxes
    total: str
    used: str
    to_pay: str
    nothing_due: bool
    credit: str
    due_date: str
    net_days: int
    payment: Payment
    notes: list[list[str]]


def printed_invoice(invoice: Invoice, usage: Printed | None = None) -> PrintedInvoice:
    """The invoice as its document shows it, whatever the lines in a constant number of queries; `usage` as read."""
    seller, buyer, terms = _copies(invoice)
    write = Writer(locale=buyer["locale"], currency=invoice.currency)
    lines = list(invoice.lines.select_related("corrects__invoice", "stream").order_by("position"))
    period = service_period(lines, write, terms["timezone"])
    parts = _sections(lines, terms, write)
    to_pay = invoice.total - (used := used_at_issue(invoice))
    credit = write.money(-invoice.total) if invoice.kind == Invoice.Kind.CREDIT_NOTE else ""
    return PrintedInvoice(
        labels=write.labels,
        language=language_of(buyer["locale"]),
        title=write.labels[invoice.kind],
        number=invoice.number or "",
        mark="" if invoice.state in NUMBERED else write.labels["draft"],
        look=_look(seller),
        seller=_party(seller["name"], seller, write),
        buyer=_party(buyer["legal_name"], buyer, write),
        email=breakable(seller["email"]),
        bank_details=_bank(seller),
        period=period,
        facts=_facts(invoice, to_pay, buyer, terms, period, write),
        why=printed_reasons(invoice, lines, write, write.say),
        amount_in=write.say("amount_in", currency=invoice.currency),
        sections=parts,
        steps_apart=sum(len(line.steps) for part in parts for line in part.lines) > MOST_STEPS,
        usage=usage_pages(usage or {}, lines, _periods(lines, terms, write), write, write.labels),
        net=write.amount(invoice.net),
        tax=write.amount(invoice.tax),
        taxes=printed_taxes(invoice, write, write.labels),
        total=write.money(invoice.total),
        used=write.amount(-used) if used else "",
        to_pay=write.money(to_pay),
        nothing_due=to_pay <= 0,
        credit=credit,
        due_date=write.day(invoice.due_date) if invoice.due_date else "",
        net_days=terms["net_days"],
        payment=_payment(invoice, to_pay, seller, terms, credit, write),
        notes=[[breakable(line) for line in note.splitlines()] for note in printed_notes(invoice)],
    )


def _copies(invoice: Invoice) -> tuple[Seller, Buyer, Terms]:
    """Seller, buyer and terms as they were when it was issued; of a draft as they are now (R5.8)."""
    if invoice.state in NUMBERED:
        return cast(Seller, invoice.seller), cast(Buyer, invoice.buyer), cast(Terms, invoice.terms)
    return seller_snapshot(invoice.entity), buyer_snapshot(invoice.customer), terms_snapshot(contracts_on(invoice))


class Writer(Format):
    """Writes values and words for one locale and one currency."""

    def __init__(self, *, locale: str, currency: str) -> None:
        super().__init__(locale=locale, currency=currency)
        self.labels, self.language = labels_of(locale), language_of(locale)

    def say(self, key: str, **values: object) -> str:
        """A label with its names filled in."""
        return self.labels[key].format(**values)

    def step(self, label: str) -> str:
        """A label of a rating step in the language, with the locale's numbers."""
        return step_in(self.language, self.label(label))


def _look(seller: Seller) -> Look:
    """How the seller's documents look."""
    colour = seller.get("colour") or HOUSE_COLOUR
    tint = "".join(f"{255 - (255 - part) // 12:02x}" for part in bytes.fromhex(colour[1:]))
    return Look(
        logo=logo_of(seller.get("logo", "")), colour=colour, tint=f"#{tint}",
        legal_text=seller.get("legal_text", []), footer=seller.get("footer", [])[:2],
    )  # fmt: skip


def _bank(seller: Seller) -> list[str]:
    """The bank details as printed: what the seller wrote, then account number and bank, unless they stand there."""
    written = compact("".join(seller["bank_details"]))
    pairs = (("IBAN", grouped(seller.get("iban", ""))), ("BIC", seller.get("bic", "")))
    return seller["bank_details"] + [f"{name} {code}" for name, code in pairs if code and compact(code) not in written]


def _payment(invoice: Invoice, to_pay: Decimal, seller: Seller, terms: Terms, credit: str, write: Writer) -> Payment:
    """What a customer is asked to do; nothing for a credit note, or where nothing is due."""
    if credit:
        return Payment(write.say("credit"), write.say("credited", amount=credit), "", [], "")
    if to_pay <= 0:
        return Payment(write.say("nothing_to_pay"), write.say("nothing_for_it"), "", [], "")
    days, reference = terms["net_days"], reference_of(invoice.number or "", seller.get("reference", "number"))
    if invoice.due_date is None:
        return Payment(write.say("due_days", days=days), write.say("payable", days=days), "", _bank(seller), "")
    day = write.day(invoice.due_date)
    text = write.say("transfer", amount=write.money(to_pay), day=day, days=days)
    transfer = Transfer(
        seller["name"], seller.get("iban", ""), seller.get("bic", ""), to_pay, invoice.currency, reference
    )
    return Payment(write.say("due_by", day=day), text, reference, _bank(seller), code_of(epc_text(transfer)))


def service_period(lines: Iterable[InvoiceLine], write: Format, timezone: str) -> str:
    """The days from the first to the last that the lines bill; adjustments of earlier invoices do not stretch it."""
    every = list(lines)
    billed = [line for line in every if line.corrects_id is None] or every
    if not billed:
        return ""
    start, end = min(line.service_start for line in billed), max(line.service_end for line in billed)
    return write.period(start, end, timezone)


def _facts(
    invoice: Invoice, to_pay: Decimal, buyer: Buyer, terms: Terms, period: str, write: Writer
) -> list[tuple[str, str]]:
    """Label and value of each row of the box beside the buyer; what is not known has no row."""
    rows = [
        ("invoice_number" if invoice.kind == Invoice.Kind.INVOICE else "number", invoice.number or ""),
        ("issue_date", write.day(invoice.issue_date) if invoice.issue_date else ""),
        ("due_date", write.day(invoice.due_date) if invoice.due_date and to_pay > 0 else ""),
        ("service_period", period),
        ("po_number", terms["po_number"]),
        ("contract", terms["contract"]),
        ("customer_number", buyer["external_id"]),
    ]
    return [(write.labels[key], breakable(value, 20)) for key, value in rows if value]


def _zone(line: InvoiceLine, terms: Terms) -> str:
    """The time zone of the line's contract."""
    zones = {each["id"]: each["timezone"] for each in terms.get("contracts", ())}
    return zones.get(line.stream.contract_id, terms["timezone"])


def _periods(lines: Iterable[InvoiceLine], terms: Terms, write: Writer) -> dict[int, str]:
    """The days of service of each line, by position, in its contract's zone."""
    return {each.position: write.period(each.service_start, each.service_end, _zone(each, terms)) for each in lines}


def _sections(lines: Sequence[InvoiceLine], terms: Terms, write: Writer) -> list[PrintedSection]:
    """The lines by contract; each contract's days are cut in its own zone."""
    contracts = {each["id"]: each for each in terms.get("contracts", ())}
    a_row = 1 if sum(len(line.steps) for line in lines) <= FEW_STEPS else STEPS_A_ROW

    def heading(line: InvoiceLine) -> Heading:
        known = contracts.get(line.stream.contract_id)
        if known is None:  # issued before invoices could hold several: all is of one contract
            return Heading(0, "", terms["contract"])
        return Heading(known["id"], known["customer"], known["contract"], known["po_number"])

    return [
        PrintedSection(
            title=breakable(each.title, 60),
            lines=[_line(line, write, _zone(line, terms), a_row) for line in each.lines],
            sums=[(breakable(label, 60), write.amount(amount)) for label, amount in each.sums],
        )
        for each in sections(((heading(line), line.amount, line) for line in lines), write.labels)
    ]


def _rows(steps: Iterable[PrintedStep], most: int) -> list[list[PrintedStep]]:
    """The steps in rows of `most` at most; one whose label is long has a row of its own."""
    rows: list[list[PrintedStep]] = []
    for step in steps:
        apart = width(step.label) > STEP_WIDTH or (bool(rows) and width(rows[-1][0].label) > STEP_WIDTH)
        if not rows or apart or len(rows[-1]) == most:
            rows.append([])
        rows[-1].append(step)
    return rows


def _line(line: InvoiceLine, write: Writer, timezone: str, a_row: int) -> PrintedLine:
    steps = tuple(_steps(line, write, timezone))
    name = line.description if line.corrects_id is None else step_in(write.language, line.description)  # “Credit: …”
    return PrintedLine(
        description=breakable(name),
        period=write.period(line.service_start, line.service_end, timezone),
        quantity="" if line.quantity is None else write.quantity(line.quantity),
        unit=plural(line.unit, Fraction(line.quantity or 0)) if line.unit else "",
        amount=write.amount(line.amount),
        steps=steps,
        step_rows=_rows(steps, a_row),
    )


def _steps(line: InvoiceLine, write: Writer, timezone: str) -> Iterator[PrintedStep]:
    """What a line corrects, how its amount came about, and what is not the whole of it."""
    if line.corrects is not None:
        other = line.corrects.invoice.number
        key = "adjustment" if other else "adjustment_unissued"
        yield PrintedStep(write.say(key, invoice=other, line=line.corrects.position))
    if told := late_in_words(line.late, line.quantity, line.unit, write.quantity, write.labels):
        yield PrintedStep(breakable(told, STEP_WIDTH))
    for step in rating_steps(line, write, timezone):
        yield replace(step, label=breakable(step.label, STEP_WIDTH))
    if line.billed_before:  # the steps show all usage: without it they would not explain the difference
        yield PrintedStep(write.labels["already_billed"], amount=write.amount(-line.billed_before))


def rating_steps(line: InvoiceLine, write: Writer, timezone: str) -> Iterator[PrintedStep]:
    """How its amount came about, in the words of the language, or what of a full period it is."""
    share = share_in_days(line.service_start, line.service_end, line.fraction, timezone, write.labels)
    prorated = write.say("prorated", share=share)
    for step in shown_steps(line.steps):
        yield PrintedStep(
            label=prorated if step["label"].startswith("Prorated: ") else write.step(step["label"]),
            quantity=write.quantity(Decimal(step["quantity"])) if step["quantity"] is not None else "",
            amount=write.addend(Decimal(step["amount"])),
        )
    if share and not line.steps:
        yield PrintedStep(prorated)


def _address(lines: list[str], country: str, language: str) -> list[str]:
    """The lines of an address with the country's name at its end, unless it stands there, in English or so."""
    if not country:
        return lines
    names = {Locale(each).territories.get(country, country) for each in ("en", language)} | {country}
    known = {line.casefold() for line in lines}
    if known & {name.casefold() for name in names}:
        return lines
    return [*lines, Locale(language).territories.get(country, country)]


def _party(name: str, copied: Seller | Buyer, write: Writer) -> Party:
    address = _address(copied["address"], copied["country"], write.language)
    label = write.labels["vat_number" if _VAT.match(copied["tax_id"]) else "tax_number"]
    return Party(breakable(name), [breakable(line) for line in address], breakable(copied["tax_id"]), label)
