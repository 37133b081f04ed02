"""The lines that bring to nothing what stands of an invoice, each with the mirror of its taxes (R5.3)."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

from billing.invoicing.engine import ENGINE
from billing.invoicing.models import InvoiceLine
from billing.invoicing.voiding.queries import Stands
from billing.pricing.ratings import made_of

ZERO = Decimal(0)


def lines_against(stands: Stands) -> list[InvoiceLine]:
    """Unsaved, in the order of the invoice: its fees, what it credited of others, its amounts, credits of its lines.

    A fee that it charged is credited whole; one that it credited is charged again, for the same time on the same terms;
    a slot goes back to what stood before it. A reversal of nothing is left out for a fee that nothing covers any more.
    """
    found = [_credit(line, corrections) for line, corrections in stands.charged if _covers(line)]
    found += [_charge_again(line) for line in stands.credits]
    found += [_slot_back(line) for line in stands.amounts]
    return found + [_undone(lines) for lines in stands.conceded if lines[-1].desired]


def _covers(line: InvoiceLine) -> bool:
    return line.coverage.filter(credited_by=None).exists()


def _against(line: InvoiceLine, reversed_lines: Sequence[InvoiceLine], **own: Any) -> InvoiceLine:
    """A line like another, with the taxes of all that it reverses turned round."""
    taxes = _mirrored(reversed_lines)
    return InvoiceLine(
        stream=line.stream, kind=line.kind, charge_id=line.charge_id, description=line.description,
        service_start=line.service_start, service_end=line.service_end, fraction=line.fraction,
        quantity=line.quantity, unit=line.unit, engine=ENGINE, known=line.known, taxes=taxes, terms=line.terms,
        tax=sum((Decimal(row["tax"]) for row in taxes), ZERO), **own,
    )  # fmt: skip


def _credit(line: InvoiceLine, corrections: Sequence[InvoiceLine]) -> InvoiceLine:
    every = [line, *corrections]
    return _against(line, every, corrects=line, amount=-sum((each.amount for each in every), ZERO))


def _charge_again(credit: InvoiceLine) -> InvoiceLine:
    step = made_of("Charged again", Fraction(-credit.amount)).to_json()
    return _against(credit, [credit], amount=-credit.amount, steps=[step])


def _slot_back(line: InvoiceLine) -> InvoiceLine:
    return _against(
        line, [line], corrects=line, slot=line.slot, billed_before=line.desired, desired=line.billed_before,
        amount=-line.amount,
    )  # fmt: skip


def _undone(lines: Sequence[InvoiceLine]) -> InvoiceLine:
    """A credit that was conceded comes back with what it was a credit of."""
    last = lines[-1]
    assert last.desired is not None  # of a slot (constraint line_fee_or_slot)
    return _against(
        last, lines, corrects_id=last.corrects_id, slot=last.slot, billed_before=last.desired, desired=ZERO,
        amount=-last.desired,
    )  # fmt: skip


def _mirrored(lines: Sequence[InvoiceLine]) -> list[dict[str, str]]:
    """The taxes of the first line, which all have alike, with the sums of all turned round."""
    sums: dict[str, Decimal] = {}
    for row in _rows(lines):
        sums[row["code"]] = sums.get(row["code"], ZERO) - Decimal(row["tax"])
    first: list[dict[str, str]] = lines[0].taxes
    return [row | {"tax": str(sums[row["code"]])} for row in first]


def _rows(lines: Sequence[InvoiceLine]) -> Iterator[dict[str, str]]:
    for line in lines:
        yield from line.taxes
