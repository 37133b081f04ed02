"""Minimums, maximums and commitments on what a subscription or a contract is charged (R5.9): their slots.

A charge counts in the cycle of the contract in which its own cycle ends, with its rounded amount as it is wanted now:
late usage changes what is counted, and the next run bills the difference. Pure: no Django, no clock.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Final, Literal

from billing.catalog.terms.values import ChargeTerms, SpendTerms
from billing.cycles import Cycle
from billing.invoicing.calendars import cycles_between
from billing.invoicing.fees import period_fees
from billing.invoicing.rated import Rated, SlotKind
from billing.invoicing.terms import WHOLE, ContractTerms, whole_of
from billing.money import EXACT, allocate, plain, round_money
from billing.periods import Period
from billing.pricing import Price, Step, rate
from billing.pricing.ratings import made_of
from billing.pricing.words import Words

TICK = timedelta(microseconds=1)
Kind = Literal["minimum", "maximum", "commitment"]
CALLED: Final = {"minimum": "Minimum spend", "maximum": "Maximum spend", "commitment": "Commitment"}


@dataclass(frozen=True, slots=True)
class Spent:
    """What an agreement on spending adds or takes off, and when its cycle or its term was complete."""

    due: datetime
    slot: Rated


@dataclass(frozen=True, slots=True)
class _Charged:
    """The amount of a charge in a cycle of its own that was complete at `at`."""

    subscription_id: int
    charge: ChargeTerms
    at: datetime
    amount: Decimal
    quantity: Fraction | None


@dataclass(slots=True)
class _Sum:
    """What counts of a charge in a stretch; `quantity` is of what is priced by it."""

    charge: ChargeTerms
    amount: Fraction = Fraction(0)
    quantity: Fraction = Fraction(0)


ChargeOf = tuple[int, int]
"""Subscription and charge code."""


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A cycle or a term that is complete: `share` of the agreed amount holds, and `weights` of each cycle's charges.

    `cycle` is what was agreed, `service` the part of it that was in force.
    """

    cycle: Period
    service: Period
    due: datetime
    share: Fraction
    weights: tuple[tuple[Period, Fraction], ...]


def spend_slots(
    contract: ContractTerms, usage: Iterable[Rated], until: datetime, since: datetime | None = None
) -> list[Spent]:
    """What is wanted of each agreement for the cycles and terms that were complete in (since, until].

    `usage` are all slots of complete cycles that end after `reach`.
    """
    if not contract.spend:
        return []
    charged = _charged(contract, usage, until, reach(contract, since))
    found: list[Spent] = []
    for about, terms in named(contract):
        counting = [each for each in charged if _counts(contract, terms, each)]
        for stretch in _stretches(contract, terms, until):
            if since is None or stretch.due > since:
                found += [Spent(stretch.due, slot) for slot in _slots(contract, terms, stretch, counting, about)]
    return found


def named(contract: ContractTerms) -> Iterator[tuple[str, SpendTerms]]:
    """Each agreement with the name that its slots are about: it stays when the agreement is ended, so that they do."""
    same: Counter[object] = Counter()
    for terms in contract.spend:
        said = f"{terms.kind} per {terms.per} from {terms.period.start.isoformat()}: {terms.name}"
        same[terms.subscription_id, said] += 1
        yield f"{said}, {same[terms.subscription_id, said]}", terms


def reach(contract: ContractTerms, since: datetime | None) -> datetime:
    """Charges that ended at or before it count in nothing that is complete after `since`."""
    start = contract.calendar.start
    if since is None or since <= start:
        return start
    found = contract.calendar.cycle_at(since).period.start
    for terms in contract.spend:
        if terms.per == "term" and (terms.period.end is None or terms.period.end > found):
            found = min(found, contract.calendar.cycle_at(max(start, terms.period.start)).period.start)
    return found


def adjustments(kind: Kind, agreed: Decimal, counted: Decimal, factor: Decimal) -> dict[SlotKind, Fraction]:
    """By kind of slot, what lifts `counted` to the agreed amount, cuts it to that, or prices what goes beyond."""
    short, beyond = (max(Decimal(0), EXACT.subtract(*pair)) for pair in ((agreed, counted), (counted, agreed)))
    match kind:
        case "minimum":
            return {"minimum": Fraction(short)}
        case "maximum":
            return {"maximum": -Fraction(beyond)}
    found: dict[SlotKind, Fraction] = {"true_up": Fraction(short)}
    return found if factor == 1 else found | {"overage": (Fraction(factor) - 1) * Fraction(beyond)}


def _charged(contract: ContractTerms, usage: Iterable[Rated], until: datetime, since: datetime) -> list[_Charged]:
    """What the charges come to, by when: usage with its minimums, fees as they are wanted."""
    found: list[_Charged] = []
    for slot in usage:
        if slot.charge is not None:
            quantity = None if slot.quantity is None else Fraction(slot.quantity)
            found.append(_Charged(slot.stream[0], slot.charge, contract.due(slot.cycle), slot.amount, quantity))
    for charge, cycle, line in period_fees(contract, Period(since, max(since, until))):
        quantity = Fraction(line.quantity) * line.fraction
        found.append(_Charged(line.stream[0], charge, contract.due(cycle), line.amount, quantity))
    return sorted(found, key=lambda each: (each.at, each.subscription_id, each.charge.position, each.charge.code))


def _counts(contract: ContractTerms, terms: SpendTerms, each: _Charged) -> bool:
    if terms.subscription_id != whole_of(contract.contract_id):
        mine = each.subscription_id == terms.subscription_id
    else:
        mine = terms.of is None or each.subscription_id in terms.of
    return mine and (not terms.codes or each.charge.code in terms.codes)


def _in_force(contract: ContractTerms, terms: SpendTerms) -> list[Period]:
    """When there is anything to agree on: while the subscription runs, or the contract as a whole."""
    if terms.subscription_id == whole_of(contract.contract_id):
        return [contract.term]
    intervals = [each.period for each in contract.intervals if each.subscription_id == terms.subscription_id]
    return _common(contract.term, intervals)


def _stretches(contract: ContractTerms, terms: SpendTerms, until: datetime) -> Iterator[_Stretch]:
    """The cycles, or the one term, of an agreement that are complete at `until`."""
    bound = _in_force(contract, terms)
    parts = _common(terms.period, bound)
    start = max(contract.calendar.start, terms.period.start)
    if terms.per == "cycle":
        for cycle in cycles_between(contract.calendar, until, start):
            within = _common(cycle.period, parts)
            if within and contract.due(cycle.period) <= until:
                yield _stretch(contract, cycle.period, cycle.full, within, [(cycle, within)], bound)
    elif parts and parts[-1].end is not None:
        full = Period(terms.period.start, terms.agreed_end or terms.period.until)
        touched = [
            (cycle, _common(cycle.period, parts))
            for cycle in cycles_between(contract.calendar, parts[-1].until, max(start, parts[0].start))
        ]
        stretch = _stretch(contract, full, full, parts, touched, bound)
        if stretch.due <= until:
            yield stretch


def _stretch(
    contract: ContractTerms, cycle: Period, full: Period, parts: Sequence[Period],
    touched: Sequence[tuple[Cycle, list[Period]]], bound: Sequence[Period],
) -> _Stretch:  # fmt: skip
    """A stretch: of a cycle that is only in part under the agreement, the same part of its charges counts."""
    weights = []
    for each, within in touched:
        whole = _share(contract, _common(each.period, bound), each.full)
        part = _share(contract, within, each.full)
        weights.append((each.period, part / whole if whole else Fraction(1)))
    return _Stretch(
        cycle=cycle, service=Period(parts[0].start, parts[-1].until), due=contract.due(touched[-1][0].period),
        share=_share(contract, parts, full), weights=tuple(weights),
    )  # fmt: skip


def _share(contract: ContractTerms, parts: Iterable[Period], full: Period) -> Fraction:
    """The share of the full period that parts of it make, by the contract's proration (R4.3)."""
    shares = (contract.calendar.share(part, full, contract.proration) for part in parts)
    return min(Fraction(1), sum(shares, Fraction(0)))  # without proration each part is whole


def _common(one: Period, others: Iterable[Period]) -> list[Period]:
    """What a period has in common with each of others, in order."""
    return sorted(filter(None, (one.intersect(other) for other in others)), key=lambda each: each.start)


def _slots(
    contract: ContractTerms, terms: SpendTerms, stretch: _Stretch, charged: Sequence[_Charged], about: str
) -> Iterator[Rated]:
    by_charge = _by_charge(stretch, charged)
    counted = round_money(sum((each.amount for each in by_charge.values()), Fraction(0)), contract.currency)
    agreed = round_money(Fraction(terms.amount) * stretch.share, contract.currency)
    wanted = adjustments(terms.kind, agreed, counted, terms.overage_factor)
    priced: list[Step] = []
    if terms.overage_prices:
        priced = priced_anew(contract.currency, dict(terms.overage_prices), agreed, counted, list(by_charge.values()))
        wanted["overage"] = sum((Fraction(step.amount) for step in priced), Fraction(0))
    for kind, exact in wanted.items():
        amount = round_money(exact, contract.currency)
        if kind == "overage":
            steps = priced or _overage_steps(contract, terms, agreed, amount, list(by_charge.values()))
        else:
            steps = _difference_steps(contract, terms, stretch, agreed, counted)
        ending = {"true_up": ": true-up", "overage": ": overage"}.get(kind, "")
        yield Rated(
            kind=kind, stream=(terms.subscription_id, WHOLE), cycle=stretch.cycle, service=stretch.service,
            charge=None, name=f"{terms.name}{ending}", quantity=None, unit="",
            steps=[step.to_json() for step in steps] if amount else [], amount=amount, about=about,
        )  # fmt: skip


def priced_anew(
    currency: str, prices: Mapping[str, Price], agreed: Decimal, counted: Decimal, sums: Sequence[_Sum]
) -> list[Step]:
    """What lies beyond the agreed amount, at other prices: the same share of each charge, less what it was charged."""
    if counted <= agreed:
        return []
    beyond = 1 - Fraction(agreed) / Fraction(counted)
    steps = []
    for each in sums:
        price = prices.get(each.charge.code)
        if price is None:
            continue
        quantity = _quantity(each.quantity * beyond)
        anew = rate(price, quantity, each.charge.unit)
        words = Words(currency, each.charge.unit)
        label = f"{each.charge.name}, beyond {words.money(agreed)}"
        steps.append(made_of(f"{label}: {words.metered(Fraction(quantity))} anew", Fraction(anew.unrounded)))
        steps.append(made_of(f"{label}: as charged", -each.amount * beyond))
    return steps


def _quantity(exact: Fraction) -> Decimal:
    """To the 12 places that quantities are kept in."""
    scaled = max(Fraction(0), exact) * 10**12
    return Decimal((2 * scaled.numerator + scaled.denominator) // (2 * scaled.denominator)).scaleb(-12, EXACT)


def _by_charge(stretch: _Stretch, charged: Sequence[_Charged]) -> dict[ChargeOf, _Sum]:
    """What counts of each charge of each subscription."""
    found: dict[ChargeOf, _Sum] = {}
    for cycle, weight in stretch.weights:
        first, last = (bisect_right(charged, at, key=lambda each: each.at) for at in (cycle.start, cycle.until))
        for each in charged[first:last]:
            sums = found.setdefault((each.subscription_id, each.charge.code_id), _Sum(each.charge))
            sums.amount += Fraction(each.amount) * weight
            sums.quantity += (each.quantity or 0) * weight
    return found


def _difference_steps(
    contract: ContractTerms, terms: SpendTerms, stretch: _Stretch, agreed: Decimal, counted: Decimal
) -> list[Step]:
    """The agreed amount less what counts: these add up to the difference."""
    money = Words(contract.currency, "").money
    label = f"{CALLED[terms.kind]}: {money(agreed)}"
    if stretch.share != 1:
        label += f", {stretch.share} of {money(terms.amount)}"
    what = "period" if terms.per == "cycle" else "term"
    charges = f"Charges of the {what}: {money(counted)}"
    if any(weight != 1 for _, weight in stretch.weights):
        charges += ", for the days under this agreement"
    return [made_of(label, Fraction(agreed)), made_of(charges, -Fraction(counted))]


def _overage_steps(
    contract: ContractTerms, terms: SpendTerms, agreed: Decimal, amount: Decimal, sums: Sequence[_Sum]
) -> list[Step]:
    """The overage shared over the charges that count, pro rata: largest remainder (R5.7)."""
    if not amount:
        return []
    money = Words(contract.currency, "").money
    parts = allocate(amount, [max(Fraction(0), each.amount) for each in sums], contract.currency)
    beyond = f"beyond {money(agreed)} at × {plain(terms.overage_factor)}"
    return [
        made_of(f"{each.charge.name}, {beyond}", Fraction(part))
        for each, part in zip(sums, parts, strict=True) if part
    ]  # fmt: skip
