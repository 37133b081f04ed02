"""Tax on the lines of drafts: which taxes each has, what they come to, and the rows that a document shows."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from billing.invoicing.models import Invoice, InvoiceLine
from billing.invoicing.states import RECORDED
from billing.invoicing.taxes.errors import TaxError
from billing.invoicing.taxes.finding import finder_of, from_rows, sold_as, taxes_of_lines, to_rows
from billing.invoicing.taxes.models import InvoiceTax
from billing.invoicing.taxes.rules import Left, Rounding, Tax, Taxable, taxes_of
from customers.models import Contract, TaxSetup
from customers.taxation.queries import last_of, setups_of

Corrected = tuple[str, int]
"""What a correction takes from: ("slot", its id), or ("fee", id of the line that charged it)."""


@dataclass(frozen=True, slots=True)
class Document:
    """Lines that are taxed together, and as of which day."""

    entity_id: int
    currency: str
    day: date
    lines: Sequence[InvoiceLine]


def find_taxes(fresh: Sequence[tuple[InvoiceLine, Contract, int]]) -> dict[int, TaxError]:
    """Tell unsaved lines their taxes (contract and id of who pays beside each), without amounts; constant queries.

    A correction has those of the line that it corrects (R5.3). By contract id, why one's cannot be told: it is held.
    """
    known = taxes_of_lines({line.corrects_id for line, _, _ in fresh if line.corrects_id})
    for line, _, _ in fresh:
        line.taxes = known.get(line.corrects_id or 0, [])
    new = [each for each in fresh if each[0].corrects_id is None]
    finder = finder_of((contract for _, contract, _ in new), {payer for *_, payer in new})
    if finder is None:
        return {}
    found = finder.taxes([sold_as(line, contract.pk, payer) for line, contract, payer in new])
    errors: dict[int, TaxError] = {}
    for line, contract, payer in new:
        told = found[sold_as(line, contract.pk, payer)]
        if isinstance(told, TaxError):
            errors[contract.pk] = told
        else:
            line.taxes = to_rows(told)
    return errors


def share_out(documents: Sequence[Document]) -> None:
    """Give every line its tax, and the amount of each of its taxes; three queries, and none where nothing is taxed."""
    taxed = [each for each in documents if any(line.taxes for line in each.lines)]
    setups = setups_of({each.entity_id for each in taxed}) if taxed else {}
    left = _left([line for each in taxed for line in each.lines if line.taxes])
    for document in taxed:
        _share_out(document, last_of(setups.get(document.entity_id, ()), document.day), left)


def rows_of(invoice: Invoice, lines: Iterable[InvoiceLine]) -> list[InvoiceTax]:
    """What a document bears of each tax, unsaved, in the order in which its lines have them."""
    sums: dict[Tax, list[Decimal]] = {}
    for line in lines:
        for tax, row in zip(from_rows(line.taxes), line.taxes, strict=True):
            found = sums.setdefault(tax, [Decimal(0), Decimal(0)])
            found[0] += line.amount
            found[1] += Decimal(row["tax"])
    return [
        InvoiceTax(
            invoice=invoice, position=position, code=tax.code, name=tax.name, percentage=tax.percentage,
            compound=tax.compound, treatment=tax.treatment, note=tax.note, net=net, tax=amount,
        )
        for position, (tax, (net, amount)) in enumerate(sums.items(), 1)
    ]  # fmt: skip


def _share_out(document: Document, setup: TaxSetup | None, left: Mapping[Hashable, Left]) -> None:
    rounding: Rounding = "line" if setup and setup.rounding == TaxSetup.Rounding.LINE else "document"
    lines = [line for line in document.lines if line.taxes]
    taxables = [_taxable(line, left) for line in lines]
    shared = taxes_of(taxables, rounding=rounding, currency=document.currency, left=left)
    for line, amounts in zip(lines, shared, strict=True):
        line.taxes = [row | {"tax": str(amount)} for row, amount in zip(line.taxes, amounts, strict=True)]
        line.tax = sum(amounts, Decimal(0))


def _taxable(line: InvoiceLine, left: Mapping[Hashable, Left]) -> Taxable:
    """The line for the rules; of a price with tax, the tax in it less what was taxed of it before."""
    corrects, included = _corrected(line), line.tax_included
    if included is not None and corrects in left:
        included -= sum(left[corrects].taxes.values(), Decimal(0))
    return Taxable(line.amount, from_rows(line.taxes), corrects, included)


def _corrected(line: InvoiceLine) -> Corrected | None:
    if line.corrects_id is None:
        return None
    return ("slot", line.slot_id) if line.slot_id else ("fee", line.corrects_id)


def _left(lines: Sequence[InvoiceLine]) -> dict[Hashable, Left]:
    """What is left of everything that the lines correct, from what stands recorded; two queries."""
    keys = {key for line in lines if (key := _corrected(line))}
    slots, fees = ({key for kind, key in keys if kind == wanted} for wanted in ("slot", "fee"))
    recorded = InvoiceLine.objects.filter(invoice__state__in=RECORDED).order_by()
    found: dict[Hashable, Left] = defaultdict(Left)
    if slots:
        for slot, amount, taxes in recorded.filter(slot__in=slots).values_list("slot", "amount", "taxes"):
            _add(found["slot", slot], amount, taxes)
    if fees:
        charged = recorded.filter(pk__in=fees).values_list("pk", "amount", "taxes")
        credited = recorded.filter(corrects__in=fees, slot=None).values_list("corrects", "amount", "taxes")
        for fee, amount, taxes in [*charged, *credited]:
            _add(found["fee", fee], amount, taxes)
    return found


def _add(left: Left, amount: Decimal, taxes: list[dict[str, str]]) -> None:
    left.net += amount
    for row in taxes:
        left.taxes[row["code"]] = left.taxes.get(row["code"], Decimal(0)) + Decimal(row["tax"])
