"""Reads of what is waived, and of what voiding must reverse."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import cast

from billing.invoicing.concessions.models import Adjustment
from billing.invoicing.models import Coverage, Invoice, InvoiceLine
from billing.invoicing.rated import SlotKey, SlotKind
from billing.invoicing.slots import CONCESSION, Standing
from billing.invoicing.states import RECORDED, InvoiceState
from billing.invoicing.terms import StreamKey
from billing.invoicing.voiding.models import Waiver
from billing.invoicing.voiding.rules import Waived
from billing.periods import Period
from customers.knowledge import in_force


def waived_of(contract_ids: Sequence[int]) -> dict[int, Waived]:
    """What each contract is not billed again, as it is known; two queries at most. Those without any are not there."""
    rows = Waiver.objects.filter(contract__among=contract_ids).select_related("line__slot", "line__stream")
    found: dict[int, tuple[dict[SlotKey, Standing], dict[StreamKey, list[Period]]]] = {}
    for row in in_force(rows, "superseded_at"):
        slots, fees = found.setdefault(row.contract_id, ({}, defaultdict(list)))
        line, period = row.line, Period(row.line.service_start, row.line.service_end)
        if line.slot is None:
            fees[line.stream.key].append(period)
            continue
        stands = _as_if(line, period)
        before = slots[stands.key].desired if stands.key in slots else Decimal(0)
        slots[stands.key] = _as_if(line, period, before)
    return {key: Waived(slots, fees) for key, (slots, fees) in found.items()}


def _as_if(line: InvoiceLine, period: Period, before: Decimal = Decimal(0)) -> Standing:
    """A waived line as if it stood, with what was waived of the slot before."""
    slot = line.slot
    assert slot is not None  # asked for by those of slots alone
    assert slot.cycle_start is not None  # every slot that a run makes has a cycle
    return Standing(
        slot_id=slot.pk, kind=cast(SlotKind, slot.kind), stream=line.stream.key,
        cycle=Period(slot.cycle_start, slot.cycle_end), desired=before + line.amount, line_id=line.pk,
        charge_id=line.charge_id, name=line.description, unit=line.unit, service=period, about=slot.about,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Stands:
    """What of an invoice stands, to be reversed.

    `charged` are fees, those anew by reversals among them, each with its corrections so far; `credits` are the
    invoice's own lines that credit fees of others; `amounts` its lines of slots; `conceded` are credits of its lines,
    the lines of each, in order.
    """

    charged: list[tuple[InvoiceLine, list[InvoiceLine]]]
    credits: list[InvoiceLine]
    amounts: list[InvoiceLine]
    conceded: list[list[InvoiceLine]]
    adjustments: list[Adjustment]

    def later(self, invoice: Invoice) -> list[Invoice]:
        """Approved or issued documents that build on it, those that cancel out left aside; in order."""
        on_slots = InvoiceLine.objects.filter(
            slot__in=[line.slot_id for line in self.amounts], revision__isnull=False
        ).select_related("invoice")
        revision = {line.slot_id: line.revision or 0 for line in self.amounts}
        found = [line.invoice for line in on_slots if (line.revision or 0) > revision[line.slot_id]]
        found += [line.invoice for _, corrections in self.charged for line in corrections]
        found += _covering(self.credits, invoice)
        waiting = [line.invoice for lines in self.conceded for line in lines]
        found = [each for each in found if each.state != InvoiceState.VOID and each.reverses_id is None]
        found += [each for each in waiting if each.state == InvoiceState.APPROVED]
        return sorted({each.pk: each for each in found if each.pk != invoice.pk}.values(), key=lambda each: each.pk)


def standing_of(invoice: Invoice) -> Stands:
    """What of an issued invoice is to be reversed; seven queries at most."""
    lines = list(invoice.lines.select_related("stream", "slot").order_by("position"))
    fees = [line for line in lines if line.slot_id is None]
    own = [line for line in fees if line.corrects_id is None]
    charged = [*own, *_charged_anew(own)]
    corrections: dict[int, list[InvoiceLine]] = defaultdict(list)
    rows = InvoiceLine.objects.filter(corrects__in=charged, slot=None, invoice__state__in=RECORDED)
    for row in rows.select_related("invoice").order_by("pk"):
        corrections[row.corrects_id or 0].append(row)
    said = list(Adjustment.objects.filter(line__invoice=invoice, superseded_at=None))
    return Stands(
        charged=[(line, corrections[line.pk]) for line in charged],
        credits=[line for line in fees if line.corrects_id is not None],
        amounts=[line for line in lines if line.slot_id is not None],
        conceded=_conceded(said),
        adjustments=said,
    )


def _charged_anew(lines: Sequence[InvoiceLine]) -> list[InvoiceLine]:
    """Stretches of these fees that reversals charged anew: a credit of them stood on a document that was voided."""
    rows = InvoiceLine.objects.filter(
        stream__in={line.stream_id for line in lines}, corrects=None, slot=None, invoice__reverses__isnull=False
    ).select_related("stream")
    return [
        row for row in rows
        if any(
            line.stream_id == row.stream_id and line.service_start <= row.service_start
            and row.service_end <= line.service_end
            for line in lines
        )
    ]  # fmt: skip


def _conceded(said: Iterable[Adjustment]) -> list[list[InvoiceLine]]:
    """The recorded lines of each credit, in the order of their revisions."""
    keys = [str(each.identity) for each in said]
    rows = InvoiceLine.objects.filter(
        slot__dimensions__in=[{CONCESSION: key} for key in keys], revision__isnull=False,
        stream__contract__in={each.contract_id for each in said},
    ) if keys else InvoiceLine.objects.none()  # fmt: skip
    found: dict[int, list[InvoiceLine]] = defaultdict(list)
    for row in rows.select_related("invoice", "stream", "slot").order_by("slot", "revision"):
        found[row.slot_id or 0].append(row)
    return list(found.values())


def _covering(credits: Sequence[InvoiceLine], invoice: Invoice) -> list[Invoice]:
    """Documents that charge again what these credits took back."""
    found = []
    for line in credits:
        again = Coverage.objects.filter(
            stream=line.stream_id, start__lt=line.service_end, end__gt=line.service_start, credited_by=None
        ).exclude(line__invoice=invoice)
        found += [each.line.invoice for each in again.select_related("line__invoice")]
    return found


def not_undone(reversal: Invoice) -> list[str]:
    """What of the invoice that a reversal voids it does not undo, in sentences; empty when all is. Four queries."""
    undone = list(reversal.lines.all())
    of_slot = {line.slot_id: line for line in undone if line.slot_id}
    found = []
    for line in InvoiceLine.objects.filter(invoice=reversal.reverses_id).order_by("position"):
        if line.slot_id:
            again = of_slot.get(line.slot_id)
            same = again is not None and (again.desired, again.tax) == (line.billed_before, -line.tax)
        elif line.corrects_id:
            same = any(
                (each.stream_id, each.service_start, each.service_end, each.amount, each.tax)
                == (line.stream_id, line.service_start, line.service_end, -line.amount, -line.tax)
                for each in undone if not each.corrects_id
            )  # fmt: skip
        else:
            rows = InvoiceLine.objects.filter(corrects=line, slot=None, invoice__state__in=RECORDED)
            same = not line.amount + sum((each.amount for each in rows), Decimal(0))
        if not same:
            found.append(f"{line.description} of {line.amount} is not undone.")
    return found
