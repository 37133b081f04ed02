"""Reads of what was conceded."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, cast

from django.db.models import Sum

from billing.invoicing.concessions.models import Adjustment
from billing.invoicing.concessions.rules import Concession, capped
from billing.invoicing.models import Invoice, InvoiceLine
from billing.invoicing.rated import SlotKind
from billing.invoicing.recorded import recorded_lines
from billing.invoicing.slots import CONCESSION
from billing.invoicing.states import RECORDED
from billing.periods import Period
from customers.knowledge import in_force

ZERO = Decimal(0)


def concessions_of(contract_ids: Sequence[int]) -> dict[int, list[Concession]]:
    """What was conceded of each contract's invoices, as it is known; three queries at most."""
    rows = Adjustment.objects.filter(contract__among=contract_ids).select_related("line__slot", "line__stream")
    said = list(in_force(rows, "superseded_at"))
    if not said:
        return {}
    fees = InvoiceLine.objects.filter(recorded_lines(), corrects__in={each.line_id for each in said}, kind="recurring")
    credited = dict(fees.order_by().values_list("corrects").annotate(total=Sum("amount")))
    found: dict[int, list[Concession]] = defaultdict(list)
    for row in said:
        stands = row.line.amount + credited.get(row.line_id, ZERO)
        found[row.contract_id].append(_as_terms(row, stands))
    return found


def _as_terms(row: Adjustment, stands: Decimal) -> Concession:
    line = row.line
    slot = line.slot
    cycle = Period(slot.cycle_start, slot.cycle_end) if slot and slot.cycle_start else None
    return Concession(
        key=row.identity, line_id=line.pk, amount=row.amount, name=line.description, charge_id=line.charge_id,
        stream=line.stream.key, period=Period(line.service_start, line.service_end),
        slot=(cast(SlotKind, slot.kind), line.stream.key, cycle, slot.about) if slot and cycle else None,
        stands=stands, quantity=row.quantity, unit=line.unit,
    )  # fmt: skip


def rest_of(lines: Sequence[InvoiceLine]) -> dict[int, Decimal]:
    """What can still be credited of each line, by its id, with its sign; four queries.

    Of a fee what was not credited; of usage no more than its slot stands for by now. Less what was conceded already.
    """
    ids, slots = [line.pk for line in lines], {line.slot_id for line in lines if line.slot_id}
    now = InvoiceLine.objects.filter(invoice__state__in=RECORDED)
    fees = now.filter(corrects__in=ids, kind="recurring").order_by().values_list("corrects")
    credited = dict(fees.annotate(total=Sum("amount")))
    last = now.filter(slot__in=slots, revision__isnull=False).order_by("slot", "-revision").distinct("slot")
    stands = dict(last.values_list("slot", "desired"))
    said = Adjustment.objects.filter(superseded_at=None).order_by()
    of_line = dict(said.filter(line__in=ids).values_list("line").annotate(total=Sum("amount")))
    of_slot = dict(said.filter(line__slot__in=slots).values_list("line__slot").annotate(total=Sum("amount")))
    found = {}
    for line in lines:
        left = line.amount - of_line.get(line.pk, ZERO)
        if line.slot_id is None:
            left = capped(left, left + credited.get(line.pk, ZERO))
        else:
            left = capped(left, (stands.get(line.slot_id) or ZERO) - of_slot.get(line.slot_id, ZERO))
        found[line.pk] = left
    return found


def conceded_on(draft: Invoice) -> list[Adjustment]:
    """The credits that stand on a draft and were not taken back; two queries."""
    dimensions = draft.lines.filter(kind="one_off").values_list("slot__dimensions", flat=True)
    keys = [int(each["concession"]) for each in dimensions if "concession" in each]
    return list(Adjustment.objects.filter(pk__in=keys, superseded_at=None).select_related("line__invoice"))


def credits_of(terms: Iterable[Any]) -> list[Adjustment]:
    """The credits that lines with these terms are of, taken back or not, in order; no query where there is none."""
    keys = [int(each[CONCESSION]) for each in terms if CONCESSION in (each or ())]
    return list(Adjustment.objects.filter(pk__in=keys).order_by("pk"))
