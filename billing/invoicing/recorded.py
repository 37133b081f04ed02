"""What stands recorded for a chunk of contracts: slots with their last revision, and coverage. Constant queries."""

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from typing import cast

from django.db.models import Max, Prefetch, Q, Sum
from django.db.models.fields.json import KeyTextTransform

from billing.invoicing.fees import BilledFee
from billing.invoicing.models import Coverage, Invoice, InvoiceLine
from billing.invoicing.rated import SlotKey, SlotKind
from billing.invoicing.slots import Standing
from billing.invoicing.states import RECORDED, InvoiceState
from billing.invoicing.stretches import PAID_UNTIL
from billing.invoicing.terms import StreamKey
from billing.invoicing.usage import Kept
from billing.periods import Period
from customers.knowledge import horizon

Standings = dict[SlotKey, Standing]


def standing_slots(contract_ids: Sequence[int]) -> dict[int, Standings]:
    """The last revision of every slot of each contract; one query."""
    lines = (
        InvoiceLine.objects.filter(
            recorded_lines(), _not_voided(), stream__contract_id__among=contract_ids, revision__isnull=False
        )
        .order_by("slot_id", "-revision")
        .distinct("slot_id")
        .select_related("slot", "stream", "invoice")
    )
    found: dict[int, Standings] = defaultdict(dict)
    for line in lines:
        slot = line.slot
        assert slot is not None  # a usage line has one (constraint line_fee_or_slot)
        assert slot.cycle_start is not None  # every kind of slot that a run makes has a cycle
        assert line.desired is not None
        stands = Standing(
            slot_id=slot.id, kind=cast(SlotKind, slot.kind),
            stream=line.stream.key,
            cycle=Period(slot.cycle_start, slot.cycle_end), desired=line.desired,
            line_id=line.id, charge_id=line.charge_id, name=line.description, unit=line.unit,
            service=Period(line.service_start, line.service_end), about=slot.about,
            as_of=line.invoice.as_of,
        )  # fmt: skip
        found[line.stream.contract_id][stands.key] = stands
    return found


def recorded_lines() -> Q:
    """Lines of approved and issued invoices; where it is asked what was known, of those that were approved by then."""
    recorded = Q(invoice__state__in=RECORDED)
    if (number := horizon()) is None:
        return recorded
    return recorded & (Q(invoice__approved_known=None) | Q(invoice__approved_known__lt=number))


def _not_voided() -> Q:
    """Lines of slots but those that were voided and their reversals, which cancel out: as if never billed.

    A credit that was conceded may have been undone with another's invoice, so its lines all count (they have terms).
    """
    voided = Q(invoice__state=InvoiceState.VOID)
    if (number := horizon()) is not None:
        voided &= Q(invoice__in=Invoice.objects.filter(reversals__approved_known__lt=number))
    return Q(terms__isnull=False) | Q(invoice__reverses=None) & ~voided


def _live() -> Q:
    """Coverage that no credit took back, or none that was approved by then."""
    if (number := horizon()) is None:
        return Q(credited_by=None)
    return Q(credited_by=None) | Q(credited_by__invoice__approved_known__gt=number)


def billed_cycles(standings: Standings) -> Kept:
    """The cycles in which usage of each stream was billed: they are never cut again."""
    found: dict[StreamKey, list[Period]] = defaultdict(list)
    for kind, stream, cycle, _ in standings:
        if kind == "usage":
            found[stream].append(cycle)
    return found


def _joined(covered: list[Period]) -> list[Period]:
    """Stretches as they were known: what a later credit cut apart was one. Those known now are as they are."""
    if horizon() is None:
        return covered
    found: list[Period] = []
    for each in covered:
        if found and found[-1].end == each.start:
            found[-1] = Period(found[-1].start, each.end)
        else:
            found.append(each)
    return found


def billed_fees(contract_ids: Sequence[int]) -> dict[int, list[BilledFee]]:
    """Every recorded charge of a recurring fee with its live coverage and what it still stands for; three queries."""
    live = Prefetch("coverage", Coverage.objects.filter(_live()).order_by("start"), to_attr="live")
    recorded = InvoiceLine.objects.filter(recorded_lines(), stream__contract_id__among=contract_ids, kind="recurring")
    paid_until = KeyTextTransform(PAID_UNTIL, "terms")  # of a credit of nothing: time that was given up
    credits = recorded.filter(corrects__isnull=False).values_list("corrects")
    rows = credits.annotate(total=Sum("amount"), paid=Max(paid_until)).order_by()
    credited = {line_id: (total, {PAID_UNTIL: paid} if paid else {}) for line_id, total, paid in rows}
    found: dict[int, list[BilledFee]] = defaultdict(list)
    lines = recorded.filter(corrects=None).select_related("stream").prefetch_related(live).order_by("id")
    for line in lines:
        if not line.live:  # credited whole: nothing of it can be compared any more
            continue
        assert line.terms is not None  # a fee has terms (constraint line_fee_or_slot)
        assert line.charge_id is not None  # a fee is of a charge (constraint line_charge)
        assert line.stream.charge_code_id is not None  # and so is its stream
        taken_back, given_up = credited.get(line.id, (Decimal(0), {}))
        fee = BilledFee(
            line_id=line.id,
            charge_id=line.charge_id,
            name=line.description,
            stream=line.stream.key,
            service=Period(line.service_start, line.service_end),
            terms=line.terms | given_up,
            amount=line.amount,
            standing=line.amount + taken_back,
            unit=line.unit,
            covered=_joined([Period(each.start, each.end) for each in line.live]),
        )
        found[line.stream.contract_id].append(fee)
    return found
