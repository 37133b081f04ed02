"""What coupons and discounts take off the charges of each cycle of a contract (R5.7).

They come after line discounts and after minimums, maximums and commitments, from the amounts as they are wanted now:
late usage changes what is taken off, and the next run bills the difference. What falls due earlier in a cycle is
discounted first, so that it does not matter how often one bills. Pure: no Django, no clock.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from itertools import groupby

from billing.invoicing.calendars import cycles_between
from billing.invoicing.fees import TICK, due_fees
from billing.invoicing.rated import Rated
from billing.invoicing.spend import Spent
from billing.invoicing.terms import ChargeTerms, ContractTerms, DiscountTerms, StreamKey
from billing.money import allocate, plain, round_money
from billing.periods import Period
from billing.pricing.ratings import made_of
from billing.pricing.words import Words

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Counted:
    """An amount that fell due at `due` and counts in `cycle`, a cycle of the contract, and what it is for."""

    stream: StreamKey
    due: datetime
    cycle: Period
    service: Period
    charge: ChargeTerms | None
    name: str
    amount: Decimal


def taken_off(
    contract: ContractTerms, usage: Iterable[Rated], spent: Iterable[Spent], until: datetime
) -> list[Rated]:  # fmt: skip
    """What is wanted of each coupon and discount, for each stream and cycle, of what fell due by `until`.

    `usage` and `spent` are all slots of complete cycles that end after `counted_from`.
    """
    return discounts_on(contract, counted(contract, usage, spent, until), until) if contract.discounts else []


def counted_from(contract: ContractTerms) -> datetime | None:
    """What was complete at or before it counts for no coupon or discount; None where there are none."""
    start = contract.calendar.start
    return min((_cycle_at(contract, max(start, each.period.start)).start for each in contract.discounts), default=None)


def counted(
    contract: ContractTerms, usage: Iterable[Rated], spent: Iterable[Spent], until: datetime
) -> list[Counted]:  # fmt: skip
    """Everything that fell due by `until`: fees in advance in the cycle they begin in, all else in that of its end.

    In order of time, whatever stands billed.
    """
    first = counted_from(contract) or until
    found = []
    for slot in usage:
        due = contract.due(slot.cycle)
        found.append(
            Counted(slot.stream, due, _cycle_to(contract, due), slot.service, slot.charge, slot.name, slot.amount)
        )
    for each in spent:
        slot, cycle = each.slot, _cycle_to(contract, each.due)
        found.append(Counted(slot.stream, each.due, cycle, slot.service, None, slot.name, slot.amount))
    for charge, due, line in due_fees(contract, until, first):
        cycle = _cycle_at(contract, due) if charge.in_advance else _cycle_to(contract, due)
        found.append(Counted(line.stream, due, cycle, line.service, charge, line.name, line.amount))
    return sorted(
        (each for each in found if each.due <= until and each.cycle.start >= first),
        key=lambda each: (each.cycle.start, each.due, each.stream[0] < 0, each.stream, each.name, each.service.start),
    )


def discounts_on(contract: ContractTerms, charged: Sequence[Counted], until: datetime) -> list[Rated]:
    """The slots of each coupon and discount; `charged` is in order of cycles, and within each of time."""
    ordered = sorted(contract.discounts, key=_order)
    amounts = {cycle: list(group) for cycle, group in groupby(charged, lambda each: each.cycle)}
    rests = [ZERO] * len(ordered)
    places = [0] * len(ordered)
    found: list[Rated] = []
    for cycle in cycles_between(contract.calendar, until + TICK, counted_from(contract) or until):
        active = []
        for place, each in enumerate(ordered):
            if _reaches(each, cycle.period):
                rests[place] = _available(each, rests[place], places[place])
                goes_on = rests[place] > 0 if each.percentage is None else _lasts(each, places[place])
                active += [place] if goes_on else []
                places[place] += 1
        bill = _Bill(contract, [ordered[place] for place in active], [rests[place] for place in active])
        for _, batch in groupby(amounts.get(cycle.period, []), lambda each: each.due):
            bill.add(list(batch))
        for place, used in zip(active, bill.used, strict=True):
            rests[place] -= used
        found += bill.slots(cycle.period)
    return found


def _order(each: DiscountTerms) -> tuple[object, ...]:
    """As listed, where they are; then narrow scope first, percentages before amounts, the older before the newer."""
    listed = (each.rank is None, each.rank or 0)
    narrow = 0 if each.charges else 1 if each.plans else 2
    return *listed, narrow, each.amount is not None, each.period.start, each.kind, each.name, each.key


def _reaches(each: DiscountTerms, cycle: Period) -> bool:
    """Whether it has begun, and was not ended before the cycle."""
    return each.period.start < cycle.until and (each.period.end is None or cycle.start < each.period.end)


def _lasts(each: DiscountTerms, place: int) -> bool:
    """Whether the cycle at a place, counted from 0 from its first one, is one of its cycles."""
    return each.cycles is None or place < each.cycles


def _available(each: DiscountTerms, rest: Decimal, place: int) -> Decimal:
    """What an amount may take off in a cycle: what is new, and what it keeps of earlier ones."""
    fresh = (each.amount or ZERO) if _lasts(each, place) else ZERO
    return rest + fresh if each.kept else fresh


def _cycle_at(contract: ContractTerms, instant: datetime) -> Period:
    return contract.calendar.cycle_at(instant).period


def _cycle_to(contract: ContractTerms, instant: datetime) -> Period:
    """The cycle that ends at an instant, or in which it lies."""
    return _cycle_at(contract, max(contract.calendar.start, instant - TICK))


@dataclass(slots=True)
class _Bill:
    """One cycle: its amounts as they fall due, and what each discount took off each of them."""

    contract: ContractTerms
    discounts: Sequence[DiscountTerms]
    limits: Sequence[Decimal]
    lines: list[Counted] = field(default_factory=list)
    off: list[list[Decimal]] = field(default_factory=list)
    """By line and discount."""

    @property
    def used(self) -> list[Decimal]:
        """What each discount takes off in all."""
        return [sum((row[place] for row in self.off), ZERO) for place in range(len(self.discounts))]

    def add(self, batch: Sequence[Counted]) -> None:
        """Amounts that fall due together: each discount takes its part of what the ones before it left."""
        before = len(self.lines)
        self.lines += batch
        self.off += [[ZERO] * len(self.discounts) for _ in batch]
        for place, each in enumerate(self.discounts):
            within = [row for row, line in enumerate(self.lines) if _within(each, line)]
            change = self._wanted(place, within) - sum((self.off[row][place] for row in within), ZERO)
            if change < 0:
                self._spread(change, place, {row: self.off[row][place] for row in within})
            else:
                late = self._spread(change, place, {row: self._left(row) for row in within if row >= before})
                self._spread(late, place, {row: self._left(row) for row in within if row < before})

    def _wanted(self, place: int, within: Sequence[int]) -> Decimal:
        """What a discount takes off everything so far: never more than the earlier ones left."""
        each = self.discounts[place]
        base = max(ZERO, sum((self.lines[row].amount - sum(self.off[row][:place], ZERO) for row in within), ZERO))
        if each.percentage is None:
            return min(self.limits[place], base)
        return round_money(Fraction(base) * Fraction(each.percentage) / 100, self.contract.currency)

    def _left(self, row: int) -> Decimal:
        """What can still be taken off a line: of one that is below zero, nothing."""
        return max(ZERO, self.lines[row].amount - sum(self.off[row], ZERO))

    def _spread(self, amount: Decimal, place: int, room: dict[int, Decimal]) -> Decimal:
        """Spread over lines pro rata to their room, by largest remainder; what finds no room comes back."""
        most = sum(room.values(), ZERO)
        part = min(amount, most) if amount > 0 else max(amount, -most)
        if part:
            parts = allocate(part, list(room.values()), self.contract.currency)
            for row, each in zip(room, parts, strict=True):
                self.off[row][place] += each
        return amount - part

    def slots(self, cycle: Period) -> Iterator[Rated]:
        """A slot for each discount and stream that it takes something off."""
        for place, each in enumerate(self.discounts):
            streams: dict[StreamKey, list[int]] = {}
            for row, line in enumerate(self.lines):
                streams.setdefault(line.stream, []).append(row)
            for stream, rows in streams.items():
                off = sum((self.off[row][place] for row in rows), ZERO)
                if off:
                    yield self._slot(each, stream, cycle, [self.lines[row] for row in rows], off)

    def _slot(
        self, each: DiscountTerms, stream: StreamKey, cycle: Period, lines: Sequence[Counted], off: Decimal
    ) -> Rated:
        ends = [line.service.until for line in lines]
        step = made_of(_words(each, self.contract.currency), -Fraction(off))
        return Rated(
            kind=each.kind, stream=stream, cycle=cycle,
            service=Period(min(line.service.start for line in lines), max(ends)), charge=lines[-1].charge,
            name=f"{each.name}: {lines[0].name}", quantity=None, unit="", steps=[step.to_json()], amount=-off,
            about=f"{each.kind} {each.key}",
        )  # fmt: skip


def _within(each: DiscountTerms, line: Counted) -> bool:
    """Whether the discount is for what the line charges; what belongs to no charge, only where it is for everything."""
    if line.charge is None:
        return not each.charges and not each.plans
    return (not each.charges or line.charge.code in each.charges) and (not each.plans or line.charge.plan in each.plans)


def _words(each: DiscountTerms, currency: str) -> str:
    """“Less 10 %”, “Its part of USD 50.00”."""
    if each.percentage is not None:
        return f"Less {plain(each.percentage)} %"
    return f"Its part of {Words(currency, '').money(each.amount or ZERO)}"
