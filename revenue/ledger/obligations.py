"""Obligations for what is billed and for what is used, with the schedules of the first kind.

Callers hold the books' lock, so "missing, hence made" cannot be made twice; the one-to-one constraints would refuse it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from billing.catalog.models import Charge
from billing.invoicing.models import InvoiceLine
from billing.invoicing.slots import OFF
from billing.periods import local_date
from customers.models import Contract
from revenue.ledger.models import Obligation, ScheduleLine
from revenue.recognition import schedules

ROWS = 2000  # per INSERT
TICK = datetime.resolution


@dataclass(frozen=True, slots=True)
class UsageSlot:
    """A slot whose usage is, or is to be, recognised; the service is `[start, end)`."""

    slot_id: int
    contract: Contract
    start: datetime
    end: datetime


def by_day(line: InvoiceLine) -> bool:
    """Whether a line is recognised by day: a recurring fee, what a coupon takes off one, and what is billed once."""
    off_fee = line.kind in OFF and line.charge is not None and line.charge.kind == Charge.Kind.RECURRING
    return line.slot_id is None or line.kind == InvoiceLine.Kind.ONE_OFF or off_fee


def service_dates(start: datetime, end: datetime, timezone: str) -> tuple[date, date]:
    """The local days that `[start, end)` touches, the second exclusive; a stretch within a day is that day."""
    return local_date(start, timezone), local_date(end - TICK, timezone) + date.resolution


def of_fees(lines: Sequence[InvoiceLine]) -> dict[int, int]:
    """An obligation for each line of a recurring fee, credits included, with its schedule by day (R7.1).

    The lines come with their contracts; the result is obligation id by line id. Σ of a schedule is the line's amount.
    """
    rows = []
    for line in lines:
        contract = line.stream.contract
        start, end = service_dates(line.service_start, line.service_end, contract.timezone)
        rows.append(
            Obligation(
                entity_id=contract.entity_id,
                contract=contract,
                kind=Obligation.Kind.SERIES_TIME,
                line=line,
                currency=contract.currency,
                price=line.amount,
                service_start=start,
                service_end=end,
            )
        )
    made = Obligation.objects.bulk_create(rows, batch_size=ROWS)
    ScheduleLine.objects.bulk_create([line for obligation in made for line in schedule_of(obligation)], batch_size=ROWS)
    return {line.pk: obligation.pk for line, obligation in zip(lines, made, strict=True)}


def schedule_of(obligation: Obligation) -> list[ScheduleLine]:
    """The planned revenue by month of an obligation by day, not saved. Derived: the same whenever it is computed."""
    assert obligation.price is not None, "only obligations by day have a price in advance"
    return [
        ScheduleLine(obligation=obligation, month=part.month, cumulative=part.cumulative, amount=part.delta)
        for part in schedules.by_day(
            obligation.price, obligation.currency, obligation.service_start, obligation.service_end
        )
        if part.delta
    ]


def of_slots(slots: Iterable[UsageSlot]) -> dict[int, int]:
    """The obligation of each slot of usage, by slot id; made where there is none yet."""
    by_id = {slot.slot_id: slot for slot in slots}
    found = dict(Obligation.objects.filter(slot__in=by_id).values_list("slot", "pk"))
    rows = []
    for slot in by_id.values():
        if slot.slot_id in found:
            continue
        start, end = service_dates(slot.start, slot.end, slot.contract.timezone)
        rows.append(
            Obligation(
                entity_id=slot.contract.entity_id,
                contract=slot.contract,
                kind=Obligation.Kind.USAGE,
                slot_id=slot.slot_id,
                currency=slot.contract.currency,
                service_start=start,
                service_end=end,
            )
        )
    made = Obligation.objects.bulk_create(rows, batch_size=ROWS)
    return found | {obligation.slot_id: obligation.pk for obligation in made if obligation.slot_id is not None}
