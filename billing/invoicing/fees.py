"""Recurring fees: which stretches are wanted, which stand billed, and the charges and credits between the two.

Coverage is compared as sets of (stretch, terms): cycle boundaries are no part of the comparison, so that a moved anchor
re-bills nothing. Pure: no Django, no clock.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from billing.invoicing.calendars import calendar_of, cycles_between, in_cadence, proration_of
from billing.invoicing.stretches import PAID_UNTIL, Fee, Stretch, add, agreed, share_of, without_paid
from billing.invoicing.terms import ChargeTerms, ContractTerms, StreamKey
from billing.money import plain, round_money
from billing.periods import Period
from billing.pricing import Price, price_to_json, rate
from billing.pricing.prices import Flat
from billing.pricing.ratings import Rating, made_of

TICK = timedelta(microseconds=1)


@dataclass(slots=True)
class BilledFee:
    """A recorded line of a fee: its service period, its amount, and what it still stands for after its credits.

    Where time was given up without credit, its `terms` say until when it is paid (`PAID_UNTIL`).
    """

    line_id: int
    charge_id: int
    name: str
    stream: StreamKey
    service: Period
    terms: dict[str, Any]
    amount: Decimal
    standing: Decimal
    covered: list[Period] = field(default_factory=list)
    """The stretches of it that are not credited."""
    unit: str = ""


@dataclass(frozen=True, slots=True)
class FeeLine:
    """A line to draw up: a charge for a stretch, or, where it corrects a line, a credit of one."""

    stream: StreamKey
    service: Period
    charge_id: int
    name: str
    position: int
    terms: dict[str, Any]
    fraction: Fraction
    quantity: Decimal
    unit: str
    steps: list[dict[str, Any]]
    amount: Decimal
    corrects: int | None = None
    tax_included: Decimal | None = None
    """Of a price with tax: the tax that was in it; `amount` is without."""


def wanted_fees(contract: ContractTerms) -> dict[StreamKey, list[Fee]]:
    """The fees that the contract's terms want, in order, whenever they fall due; equal neighbours joined."""
    wanted: dict[StreamKey, list[Stretch]] = defaultdict(list)
    for bound in contract.stretches(usage=False):
        flat = isinstance(bound.charge.price.model, Flat)
        quantity = Decimal(1) if flat else bound.quantity  # a flat fee has no number of times
        terms = fee_terms(contract, bound.charge, quantity)
        fee = Fee(bound.stream, bound.period, terms, bound.charge, quantity)
        add(wanted[bound.stream], Stretch(fee, bound.begun, bound.unused))
    return {
        stream: [fee for each in found for fee in agreed(contract, each)] for stream, found in wanted.items()
    }  # fmt: skip


def fee_terms(contract: ContractTerms, charge: ChargeTerms, quantity: Decimal) -> dict[str, Any]:
    """What makes two stretches of a fee equal: amount a full period, cadence, quantity and discounts.

    Its proration too, where it is not the contract's.
    """
    rating = _rating(charge.price, quantity, "unit", str(quantity))
    terms = {
        "amount": str(Fraction(rating.unrounded)),
        "cadence": str(calendar_of(contract, charge).cadence),
        "quantity": plain(quantity),
        "discounts": price_to_json(charge.price).get("discounts", []),
    }
    own = proration_of(contract, charge)
    return terms if own == contract.proration else terms | {"proration": own}


@lru_cache(maxsize=10_000)
def _rating(price: Price, quantity: Decimal, unit: str, written: str) -> Rating:
    """What a full period costs, once for all contracts that pay the same; `written` tells 1 from 1.0."""
    return rate(price, quantity, unit)


def period_fees(contract: ContractTerms, period: Period) -> list[tuple[ChargeTerms, Period, FeeLine]]:
    """What the terms charge for the cycles that end in (start, end] of the period: charge, cycle and line.

    Whatever stands billed.
    """
    lines = []
    for fee in [fee for fees in wanted_fees(contract).values() for fee in fees]:
        for cycle in cycles_between(calendar_of(contract, fee.charge), period.until, period.start):
            part = fee.period.intersect(cycle.period)
            if part is not None and period.start < contract.due(cycle.period) <= period.until:
                fraction = share_of(contract, fee, part, cycle.full)
                lines.append((fee.charge, cycle.period, charge_line(contract, fee, part, fraction)))
    return lines


def due_fees(
    contract: ContractTerms, until: datetime, since: datetime
) -> Iterator[tuple[ChargeTerms, datetime, FeeLine]]:
    """What the terms charge for cycles that end after `since`, as far as it fell due by `until`: charge, when, line.

    Whatever stands billed.
    """
    for fee in (fee for fees in wanted_fees(contract).values() for fee in fees):
        for cycle in cycles_between(calendar_of(contract, fee.charge), until + TICK, max(fee.period.start, since)):
            part = fee.period.intersect(cycle.period)
            if part is None:
                break
            due = part.start if fee.charge.in_advance else contract.due(cycle.period)
            if due <= until:
                yield fee.charge, due, charge_line(contract, fee, part, share_of(contract, fee, part, cycle.full))


def fee_lines(
    contract: ContractTerms, billed: Iterable[BilledFee], as_of: datetime,
    waived: Mapping[StreamKey, Sequence[Period]] = MappingProxyType({}),
) -> list[FeeLine]:  # fmt: skip
    """Wanted − recorded: charges for what is due and not covered, credits for what is covered and no longer wanted.

    Stretches that are `waived` are neither charged nor credited.
    """
    wanted = wanted_fees(contract)
    recorded: dict[StreamKey, list[BilledFee]] = defaultdict(list)
    for fee in billed:
        recorded[fee.stream].append(fee)
    lines: list[FeeLine] = []
    for stream in wanted.keys() | recorded.keys():
        fees = wanted.get(stream, [])
        given_up: list[FeeLine] = []
        standing = [_given_up(contract, each, fees, as_of, given_up) for each in recorded[stream]]
        lines += given_up
        free = waived.get(stream, ())
        lines += _credits(contract, fees, standing, as_of, free)
        lines += _charges(contract, fees, standing, as_of, free)
    return lines


def _given_up(
    contract: ContractTerms, line: BilledFee, wanted: list[Fee], as_of: datetime, lines: list[FeeLine]
) -> BilledFee:
    """The line, under the terms of a change that gives up its unused time without credit, if there is one.

    From that change on, a credit of nothing (added to `lines`) frees the time for the new terms (R4.4).
    """
    if PAID_UNTIL in line.terms or len(line.covered) != 1:
        return line
    (covered,) = line.covered
    for fee in wanted:
        if without_paid(fee.terms) != line.terms or fee.terms.get(PAID_UNTIL) != covered.until.isoformat():
            continue
        if covered.start == fee.period.start and PAID_UNTIL in fee.terms:
            unused = Period(fee.period.until, covered.until)
            if unused.start > as_of:
                return replace(line, terms=fee.terms, covered=[fee.period])
            step = made_of("Not used, and not credited by agreement", Fraction(0))
            lines.append(FeeLine(
                stream=line.stream, service=unused, charge_id=line.charge_id, name=line.name, position=0,
                terms=fee.terms, fraction=Fraction(0), quantity=Decimal(line.terms["quantity"]), unit=line.unit,
                steps=[step.to_json()], amount=Decimal(0), corrects=line.line_id,
            ))  # fmt: skip
            return replace(line, terms=fee.terms, covered=[fee.period])
    return line


def _kept(line: BilledFee, wanted: list[Fee]) -> list[Period]:
    """What of the wanted fees a line stands for; one with time given up stands for exactly one of them, or none."""
    same = [fee.period for fee in wanted if fee.terms == line.terms]
    return [each for each in same if line.covered == [each]] if PAID_UNTIL in line.terms else same


def _charges(
    contract: ContractTerms, wanted: list[Fee], recorded: list[BilledFee], as_of: datetime, free: Sequence[Period]
) -> Iterator[FeeLine]:
    kept = [(line, _kept(line, wanted)) for line in recorded]
    for fee in wanted:
        covered = [
            stretch for line, for_ in kept if line.terms == fee.terms and for_ for stretch in line.covered
        ]  # fmt: skip
        for gap in fee.period.subtract([*covered, *free]):
            for cycle in cycles_between(calendar_of(contract, fee.charge), as_of + TICK, gap.start):
                part = gap.intersect(cycle.period)
                if part is None:
                    break
                if (part.start if fee.charge.in_advance else contract.due(cycle.period)) > as_of:
                    continue
                yield charge_line(contract, fee, part, share_of(contract, fee, part, cycle.full))


def charge_line(contract: ContractTerms, fee: Fee, part: Period, fraction: Fraction) -> FeeLine:
    """What a stretch of a fee costs: this fraction of what a full period does, rounded once (R4.3)."""
    rating = _rating(fee.charge.price, fee.quantity, fee.charge.unit, str(fee.quantity))
    whole, steps = Fraction(rating.unrounded), list(rating.steps)
    if fraction != 1:
        steps.append(made_of(f"Prorated: {fraction} of the period", whole * (fraction - 1)))
    return FeeLine(
        stream=fee.stream, service=part, charge_id=fee.charge.charge_id, name=fee.charge.name,
        position=fee.charge.position, terms=fee.terms, fraction=fraction, quantity=fee.quantity,
        unit="" if isinstance(fee.charge.price.model, Flat) else fee.charge.unit,
        steps=[step.to_json() for step in steps],
        amount=round_money(whole * fraction, contract.currency),
    )  # fmt: skip


def _credits(
    contract: ContractTerms, wanted: list[Fee], recorded: list[BilledFee], as_of: datetime, free: Sequence[Period]
) -> Iterator[FeeLine]:
    for line in recorded:
        unwanted = [gap for stretch in line.covered for gap in stretch.subtract([*_kept(line, wanted), *free])]
        due = [gap for gap in unwanted if gap.start <= as_of]
        left = [gap for stretch in line.covered for gap in stretch.subtract(due)]
        standing = line.standing
        for gap in due:
            last = not left and gap is due[-1]
            fraction = _share_of_line(contract, line, gap)
            amount = (
                standing
                if last
                else _capped(round_money(Fraction(line.amount) * fraction, contract.currency), standing)
            )
            standing -= amount
            billed = f"{contract.currency} {round_money(line.amount, contract.currency):,f}"
            step = made_of(f"Not used: {fraction} of {billed}", -Fraction(amount))
            yield FeeLine(
                stream=line.stream, service=gap, charge_id=line.charge_id, name=line.name, position=0,
                terms=line.terms, fraction=fraction, quantity=Decimal(line.terms["quantity"]), unit=line.unit,
                steps=[step.to_json()], amount=-amount, corrects=line.line_id,
            )  # fmt: skip


def _capped(amount: Decimal, standing: Decimal) -> Decimal:
    """At most what the line still stands for, on the line's own side of zero."""
    return min(amount, standing) if standing >= 0 else max(amount, standing)


def _share_of_line(contract: ContractTerms, line: BilledFee, gap: Period) -> Fraction:
    """The share of the line's own service period, by the calendar and the proration that it was billed with."""
    proration = line.terms.get("proration", contract.proration)
    if proration == "none":
        return Fraction(1)
    calendar = in_cadence(contract.calendar, line.terms["cadence"])
    full = calendar.cycle_at(line.service.start).full
    if line.service.until > full.until:  # billed by cycles that a change had moved
        full = line.service
    whole = calendar.share(line.service, full, proration)
    return calendar.share(gap, full, proration) / whole if whole else Fraction(0)  # hours of a day weigh nothing by day
