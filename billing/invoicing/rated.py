"""What slots should stand at: the parts of a cycle priced, added exactly, and rounded once; and its minimum.

Pure: no Django, no clock.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from functools import reduce
from typing import Any, Literal

from billing.invoicing.allowances import prorated
from billing.invoicing.calendars import calendar_of, proration_of
from billing.invoicing.terms import ChargeTerms, ContractTerms, StreamKey
from billing.invoicing.usage import Answer, Part, Wanted, both, need_of
from billing.money import EXACT, round_money
from billing.periods import Period, zone
from billing.pricing import Price, Step, rate
from billing.pricing.exact import added, minus
from billing.pricing.prices import PerUnit
from billing.pricing.ratings import made_of
from billing.pricing.usages import Cells, Events, Need, Totals, Usage, needs
from billing.pricing.words import Words

SlotKind = Literal["usage", "minimum", "maximum", "true_up", "overage", "coupon", "discount", "one_off"]
SlotKey = tuple[SlotKind, StreamKey, Period, str]
"""Kind, stream, cycle, and the agreement or coupon: what an amount is billed for, once."""


@dataclass(frozen=True, slots=True)
class Rated:
    """What a slot should stand at, and how that came about; no quantity where none has a meaning.

    What belongs to no single charge has none, and names the agreement that it is `about`.
    """

    kind: SlotKind
    stream: StreamKey
    cycle: Period
    service: Period
    charge: ChargeTerms | None
    name: str
    quantity: Decimal | None
    unit: str
    steps: list[dict[str, Any]]
    amount: Decimal
    about: str = ""

    @property
    def key(self) -> SlotKey:
        """What it is billed for, once."""
        return self.kind, self.stream, self.cycle, self.about


def rated(contract: ContractTerms, wanted: Wanted, answers: Sequence[Answer]) -> list[Rated]:
    """The usage of a cycle, and what its minimum adds once the cycle is complete. An answer a part, in order.

    Each part is priced by itself, the parts are added exactly, and the slot is rounded once; a maximum and a minimum
    hold for the whole cycle, however many parts it has (R3, R5.9), or for each window where there are windows.
    """
    maximum = _maximum(contract, wanted)
    steps: list[Step] = []
    before: Usage | None = None
    parts = weighed(wanted.parts, _shares(contract, wanted)) if len(wanted.parts) > 1 else wanted.parts
    for place, (part, answer) in enumerate(zip(parts, answers, strict=True)):
        if part.charge.window:
            more = _by_window(contract, part.charge, answer)
        else:
            goes_on = before is not None and _goes_on(parts[place - 1], part)
            more = _priced(part.charge, answer.usages[0], before if goes_on else None, capped=maximum is None)
            before = both(before, answer.usages[0]) if goes_on and before is not None else answer.usages[0]
        if any(each.begun.gauges == "share" and not each.charge.additive for each in parts[1:]):
            more = [*more, *_its_share(more, _shares(contract, wanted)[place])]
        steps += more
    total = added(step.amount for step in steps)
    if maximum is not None and total > maximum:
        steps.append(made_of(f"Maximum for the period: {_money(contract, maximum)}", minus(maximum, total)))
        total = maximum
    last, quantity = wanted.parts[-1].charge, _together(wanted.parts, answers)
    usage = Rated(
        kind="usage", stream=wanted.stream, cycle=wanted.cycle,
        service=Period(wanted.parts[0].period.start, wanted.parts[-1].period.end),
        charge=last, name=last.name, quantity=quantity, unit="" if quantity is None else last.unit,
        steps=[step.to_json() for step in steps], amount=round_money(total, contract.currency),
    )  # fmt: skip
    refused = all(isinstance(each, Decimal) and each < 0 for answer in answers for each in answer.usages)
    if wanted.complete and not refused and any(_minimum_of(part) is not None for part in wanted.parts):
        return [usage, _lifted(contract, usage, Fraction(total), _minimum(contract, wanted))]
    return [usage]


def _goes_on(one: Part, other: Part) -> bool:
    """Whether tiers and allowances go on over a change within the cycle (R4.5).

    As the change says it; where it does not, where prices change only. Where each unit costs the same there is nothing
    to go on.
    """
    alike = (need_of(one.charge), one.charge.meter_id, one.charge.window) == (
        need_of(other.charge), other.charge.meter_id, other.charge.window)  # fmt: skip
    if other.begun.tiers or not alike:
        return alike and other.begun.tiers == "continue"
    return _allowed(one.charge) == _allowed(other.charge) and not _is_linear(other.charge.price)


def weighed(parts: Sequence[Part], shares: Sequence[Fraction]) -> Sequence[Part]:
    """The parts of a cycle; where a change prorates what is granted, each side of it with its share of the period."""
    if not any(part.begun.tiers == "prorate" for part in parts[1:]):
        return parts
    sides: list[list[int]] = [[]]
    for place, part in enumerate(parts):
        if place and part.begun.tiers == "prorate":
            sides.append([])
        sides[-1].append(place)
    found = list(parts)
    for side in sides:
        share = sum((shares[place] for place in side), Fraction(0))
        for place in side:
            charge = parts[place].charge
            found[place] = replace(parts[place], charge=replace(charge, price=prorated(charge.price, share)))
    return found


def _its_share(steps: Sequence[Step], share: Fraction) -> list[Step]:
    """What takes a side of a change down to its share of the period, of a quantity whose parts cannot be added."""
    whole = sum((Fraction(step.amount) for step in steps), Fraction(0))
    return [made_of(f"Its share: {share} of the period", whole * (share - 1))]


def _is_linear(price: Price) -> bool:
    """Whether usage costs the same at once and in parts."""
    granted = price.free_quantity or any(each.amount is not None for each in price.discounts)
    return isinstance(price.model, PerUnit) and not granted and price.unit.round == "none" and not price.custom_unit


def _allowed(charge: ChargeTerms) -> tuple[object, ...]:
    """What of a price is granted once a period, or says how its tiers are counted."""
    price = charge.price
    bounds = [tier.up_to for tier in getattr(price.model, "tiers", ())]
    amounts = [each.amount for each in price.discounts if each.amount is not None]
    return (
        type(price.model), bounds, amounts, price.free_quantity, price.unit, charge.meter_id, charge.narrowed_by,
        charge.window,
    )  # fmt: skip


def _priced(charge: ChargeTerms, usage: Usage, before: Usage | None, *, capped: bool) -> list[Step]:
    """The steps of a part: without its minimum, and unless `capped` without its maximum.

    With usage `before` it in the same cycle, all of it is priced, less what was used before at the same price.
    """
    price = charge.price
    if price.minimum_amount is not None or not capped:
        price = replace(price, minimum_amount=None, maximum_amount=price.maximum_amount if capped else None)
    if before is None:
        return list(rate(price, usage, charge.unit).steps)
    steps = list(rate(price, both(before, usage), charge.unit).steps)
    counted = Fraction(rate(price, before, charge.unit).unrounded)
    return [*steps, made_of("Used before the change", -counted)] if counted else steps


def _by_window(contract: ContractTerms, charge: ChargeTerms, answer: Answer) -> list[Step]:
    """A step for each hour or day with usage, priced alone, and one for all that have none (R3)."""
    steps = []
    for start, usage in zip(answer.starts, answer.usages, strict=True):
        local = start.astimezone(zone(contract.calendar.timezone))
        label = local.strftime("%Y-%m-%d" if charge.window == "day" else "%Y-%m-%d %H:%M")
        quantity = usage if isinstance(usage, Decimal) else None
        if quantity is not None:
            label += f": {Words(contract.currency, charge.unit).metered(Fraction(quantity))}"
        steps.append(Step(label, quantity, None, None, rate(charge.price, usage, charge.unit).unrounded))
    if answer.empty:
        amount = Fraction(rate(charge.price, _nothing(charge.price), charge.unit).unrounded) * answer.empty
        if amount:
            word = charge.window if answer.empty == 1 else f"{charge.window}s"
            steps.append(made_of(f"{answer.empty:,} {word} without usage", amount))
    return steps


def _nothing(price: Price) -> Usage:
    """No usage, as the price takes it."""
    match needs(price):
        case Need("cells", dimensions):
            return Cells(dimensions, ())
        case Need("events"):
            return Events(())
        case Need("totals"):
            return Totals(Decimal(0), 0)
    return Decimal(0)


def _together(parts: Sequence[Part], answers: Sequence[Answer]) -> Decimal | None:
    """The quantity of all parts, where it has a meaning (R2.3)."""
    quantities = [answer.quantity for answer in answers if answer.quantity is not None]
    apart = any(not part.charge.additive or part.charge.unit != parts[0].charge.unit for part in parts[1:])
    if len(quantities) < len(parts) or apart:
        return None
    return reduce(EXACT.add, quantities)


def _maximum(contract: ContractTerms, wanted: Wanted) -> Fraction | None:
    """The maximum of a cycle in several parts that each have one, by their shares of it; else each keeps its own."""
    prices = [part.charge.price for part in wanted.parts if not part.charge.window]
    maximums = [_converted(price, price.maximum_amount) for price in prices if price.maximum_amount is not None]
    if len(wanted.parts) < 2 or len(maximums) < len(wanted.parts):
        return None
    shares = _shares(contract, wanted)
    weighed = (each * share for each, share in zip(maximums, shares, strict=True))
    return sum(weighed, Fraction(0)) / sum(shares)


def _minimum_of(part: Part) -> Decimal | None:
    """The minimum of a part's price; by windows it is each window's own."""
    return None if part.charge.window else part.charge.price.minimum_amount


def _converted(price: Price, amount: Decimal) -> Fraction:
    """An amount of a price in its currency: those of a price in a custom unit are in that unit."""
    return Fraction(amount) * Fraction((price.custom_unit and price.custom_unit.rate) or 1)


def _minimum(contract: ContractTerms, wanted: Wanted) -> Fraction:
    """The minimum of a cycle: each part's by its share of the full period; what is cut short is prorated (R5.9)."""
    minimums = [_converted(part.charge.price, _minimum_of(part) or Decimal(0)) for part in wanted.parts]
    if proration_of(contract, wanted.parts[0].charge) == "none":
        return minimums[0]  # a change waits for the next period (R4.3)
    return sum((a * share for a, share in zip(minimums, _shares(contract, wanted), strict=True)), Fraction(0))


def _shares(contract: ContractTerms, wanted: Wanted) -> list[Fraction]:
    """The share of the full period that each part makes."""
    return [
        calendar_of(contract, part.charge).share(part.period, wanted.full, proration_of(contract, part.charge))
        for part in wanted.parts
    ]


def _lifted(contract: ContractTerms, usage: Rated, total: Fraction, minimum: Fraction) -> Rated:
    """What lifts a cycle's usage to its minimum: rounded total − rounded amount before it (R3)."""
    steps = []
    if total < minimum:
        label = f"Minimum for the period: {_money(contract, minimum)}"
        steps = [made_of(label, minimum), made_of("Usage billed by itself", -total)]
    amount = round_money(max(total, minimum), contract.currency) - usage.amount
    return replace(
        usage, kind="minimum", name=f"{usage.name}: minimum", quantity=None, unit="",
        steps=[step.to_json() for step in steps], amount=amount,
    )  # fmt: skip


def _money(contract: ContractTerms, amount: Fraction) -> str:
    return Words(contract.currency, "").money(round_money(amount, contract.currency))
