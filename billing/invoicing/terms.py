"""The facts that billing computes from, as plain values: what a contract binds, and at which price.

Pure: no Django, no clock. `load.py` fills these from the database.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import zip_longest
from typing import Final

from billing.catalog.changes.options import DEFAULT, Options, Unused
from billing.catalog.terms.values import ChargeTerms, DiscountTerms, FreeTime, Interval, SpendTerms, whole_of
from billing.cycles import BillingCalendar
from billing.periods import Period

__all__ = [
    "WHOLE", "Bound", "ChargeTerms", "ContractTerms", "DiscountTerms", "FreeTime", "Interval", "SpendTerms",
    "StreamKey", "whole_of",
]  # fmt: skip

StreamKey = tuple[int, int]
"""(subscription, charge code): what slots and coverage hang on; (`whole_of`(contract), WHOLE) for a whole contract."""
WHOLE: Final = 0
"""In place of a charge code: what belongs to the subscription as a whole."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A charge over a stretch of time, how many of it, and how the changes around it took effect.

    `begun` are the options of the change at its start; `unused` says what becomes of time paid beyond its end.
    """

    stream: StreamKey
    period: Period
    charge: ChargeTerms
    quantity: Decimal
    begun: Options = DEFAULT
    unused: Unused = "credit"


@dataclass(frozen=True, slots=True)
class ContractTerms:
    """A contract as billing sees it: its term, its cycles, and the current intervals of its subscriptions."""

    contract_id: int
    customer_id: int
    entity_id: int
    currency: str
    proration: str
    calendar: BillingCalendar
    term: Period
    intervals: tuple[Interval, ...]
    spend: tuple[SpendTerms, ...] = ()
    discounts: tuple[DiscountTerms, ...] = ()
    free: tuple[FreeTime, ...] = ()

    def due(self, cycle: Period) -> datetime:
        """When what is paid in arrears for a cycle falls due: its end, or the contract's within it (R4.2)."""
        end = (cycle.intersect(self.term) or cycle).end
        assert end is not None  # a cycle has an end
        return end

    def bound(self, *, usage: bool) -> Iterator[tuple[StreamKey, Period, ChargeTerms, Decimal]]:
        """Each charge of a kind over each stretch, inside the contract's term, that an interval binds it for.

        Without the time in which it is free: a trial, a pause (R4.6).
        """
        for each in self.stretches(usage=usage):
            yield each.stream, each.period, each.charge, each.quantity

    def stretches(self, *, usage: bool) -> Iterator[Bound]:
        """The same, each with how the changes around it took effect."""
        rows = sorted(self.intervals, key=lambda each: (each.subscription_id, each.period.start))
        for interval, following in zip_longest(rows, rows[1:]):
            period = interval.period.intersect(self.term)
            if period is None:
                continue
            unused = _unused(interval, following)
            for charged in period.subtract(self._free(interval.subscription_id, usage=usage)):
                begun = interval.begun if charged.start == interval.period.start else DEFAULT
                beyond = unused if charged.end == interval.period.end else "credit"
                for charge in interval.charges:
                    if (charge.meter_id is not None) is usage:
                        quantity = interval.quantity if charge.quantity is None else charge.quantity
                        stream = interval.subscription_id, charge.code_id
                        yield Bound(stream, charged, charge, quantity, begun, beyond)

    def _free(self, subscription_id: int, *, usage: bool) -> list[Period]:
        """When a subscription owes nothing for its fees, or for its usage."""
        own = [each for each in self.free if each.subscription_id == subscription_id]
        return [each.period for each in own if (each.usage if usage else each.fees)]


def _unused(interval: Interval, following: Interval | None) -> Unused:
    """What the change at the end of an interval says of time that was paid beyond it."""
    if following and (interval.subscription_id, interval.period.end) == (
        following.subscription_id, following.period.start,
    ):  # fmt: skip
        return following.begun.unused
    return interval.ended.unused
