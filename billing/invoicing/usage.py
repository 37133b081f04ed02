"""Usage: which cycles are wanted, which quantities to ask for, and what each slot should stand at.

A slot's delta is rate(total usage) − what stands billed, never rate(late usage alone). Pure: no Django, no clock.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from functools import reduce
from typing import Any

from billing.invoicing.terms import ChargeTerms, ContractTerms, StreamKey
from billing.money import EXACT, round_money
from billing.periods import Period
from billing.pricing import rate


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a cycle under one price: what a quantity is asked for."""

    period: Period
    charge: ChargeTerms


@dataclass(frozen=True, slots=True)
class Wanted:
    """The usage of a stream in a cycle, in parts of different terms; they are steps of one slot."""

    stream: StreamKey
    cycle: Period
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of the usage store for a part of a slot; equal ones have the same answer."""

    customer_id: int
    meter_id: int
    period: Period
    full: Period
    timezone: str
    narrowed_by: str = ""


Answer = Decimal
"""What the store says to a question."""


@dataclass(frozen=True, slots=True)
class Rated:
    """What a slot should stand at, and how that came about."""

    stream: StreamKey
    cycle: Period
    service: Period
    charge: ChargeTerms
    quantity: Decimal
    steps: list[dict[str, Any]]
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Standing:
    """A recorded slot: the last revision's `desired`, and the line that it stands on."""

    slot_id: int
    stream: StreamKey
    cycle: Period
    desired: Decimal
    line_id: int
    charge_id: int
    name: str
    unit: str
    service: Period


@dataclass(frozen=True, slots=True)
class SlotLine:
    """A line to draw up: the delta of a slot; one that corrects a line is an adjustment."""

    stream: StreamKey
    cycle: Period
    service: Period
    charge_id: int
    name: str
    position: int
    quantity: Decimal
    unit: str
    steps: list[dict[str, Any]]
    billed_before: Decimal
    desired: Decimal
    corrects: int | None = None

    @property
    def amount(self) -> Decimal:
        """What this line bills."""
        return self.desired - self.billed_before


def wanted_usage(
    contract: ContractTerms, until: datetime, *, complete: bool = True, since: datetime | None = None
) -> list[Wanted]:
    """The cycles of each usage charge up to `until`: complete ones only, or the running one too, cut at `until`.

    `since` leaves out cycles that ended at or before it.
    """
    found: dict[tuple[StreamKey, Period], list[Part]] = defaultdict(list)
    for stream, period, charge, _ in contract.bound(usage=True):
        for cycle in contract.calendar.cycles(until, max(period.start, since) if since else period.start):
            part = period.intersect(cycle.period)
            if part is None:
                break
            if complete and contract.due(cycle.period) > until:
                break
            cut = part.intersect(Period(contract.term.start, until))
            if cut is not None:
                found[stream, cycle.period].append(Part(cut, charge))
    return [Wanted(stream, cycle, _joined(parts)) for (stream, cycle), parts in found.items()]


def _joined(parts: Sequence[Part]) -> tuple[Part, ...]:
    """Neighbours of equal price joined; a quantity that cannot be split keeps the cycle's first terms (R4.5)."""
    joined: list[Part] = []
    for part in sorted(parts, key=lambda each: each.period.start):
        before = joined[-1] if joined else None
        same = before and (before.charge.price, before.charge.meter_id) == (part.charge.price, part.charge.meter_id)
        whole = before and not part.charge.additive and before.charge.meter_id == part.charge.meter_id
        if before and (whole or (same and before.period.end == part.period.start)):
            joined[-1] = Part(Period(before.period.start, part.period.end), before.charge if whole else part.charge)
        else:
            joined.append(part)
    return tuple(joined)


def questions(contract: ContractTerms, wanted: Wanted) -> list[Question]:
    """What to ask for each part of a slot, in order."""
    found = []
    for part in wanted.parts:
        charge = part.charge
        assert charge.meter_id is not None  # usage has a meter
        found.append(Question(
            contract.customer_id, charge.meter_id, part.period, wanted.cycle, contract.calendar.timezone,
            charge.narrowed_by,
        ))  # fmt: skip
    return found


def rated(contract: ContractTerms, wanted: Wanted, quantities: Sequence[Answer]) -> Rated:
    """Price each part's quantity, add the parts exactly, and round the slot once. One quantity a part, in order."""
    total, steps = Fraction(0), []
    for part, quantity in zip(wanted.parts, quantities, strict=True):
        rating = rate(part.charge.price, quantity, part.charge.unit)
        total += Fraction(rating.unrounded)
        steps += [step.to_json() for step in rating.steps]
    last = wanted.parts[-1].charge
    return Rated(
        stream=wanted.stream, cycle=wanted.cycle,
        service=Period(wanted.parts[0].period.start, wanted.parts[-1].period.end),
        charge=last, quantity=reduce(EXACT.add, quantities), steps=steps,
        amount=round_money(total, contract.currency),
    )  # fmt: skip


def slot_lines(
    desired: Iterable[Rated], recorded: Mapping[tuple[StreamKey, datetime], Standing], due: datetime
) -> list[SlotLine]:
    """Desired − recorded for every slot whose cycle is complete; a slot that was never billed is billed, zero too."""
    lines: list[SlotLine] = []
    seen = set()
    for slot in desired:
        seen.add((slot.stream, slot.cycle.start))
        stands = recorded.get((slot.stream, slot.cycle.start))
        if stands is not None and stands.desired == slot.amount:
            continue
        lines.append(SlotLine(
            stream=slot.stream, cycle=slot.cycle, service=slot.service, charge_id=slot.charge.charge_id,
            name=slot.charge.name, position=slot.charge.position, quantity=slot.quantity, unit=slot.charge.unit,
            steps=slot.steps, billed_before=stands.desired if stands else Decimal(0), desired=slot.amount,
            corrects=stands.line_id if stands else None,
        ))  # fmt: skip
    for key, stands in recorded.items():
        gone = key not in seen and stands.desired != 0 and stands.cycle.end is not None and stands.cycle.end <= due
        if gone:  # the subscription no longer wants this cycle: take all of it back
            lines.append(SlotLine(
                stream=stands.stream, cycle=stands.cycle, service=stands.service, charge_id=stands.charge_id,
                name=stands.name, position=0, quantity=Decimal(0), unit=stands.unit, steps=[],
                billed_before=stands.desired, desired=Decimal(0), corrects=stands.line_id,
            ))  # fmt: skip
    return lines
