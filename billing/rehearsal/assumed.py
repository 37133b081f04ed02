"""Usage that is assumed: what was used up to now, and from now on what was used before, or what a file says."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_HALF_UP, Context, Decimal
from fractions import Fraction
from functools import reduce
from typing import Final, Literal

from billing.catalog.terms.values import NOT_ADDITIVE
from billing.invoicing import asking
from billing.invoicing.facts import Facts
from billing.invoicing.usage import Answer, Question, both
from billing.metering.models import Meter
from billing.money import EXACT
from billing.periods import Period, share
from billing.pricing.usages import Cells, Totals, Usage
from billing.rehearsal.errors import CannotAssume
from billing.rehearsal.periods import reference

Basis = Literal["last", "average", "none"]
CYCLES: Final = 3
"""How many cycles an average is made of."""
_PLACES: Final = Decimal("1e-6")
_WIDE: Final = Context(prec=60, rounding=ROUND_HALF_UP)


@dataclass(frozen=True, slots=True)
class Assumption:
    """What is used from `now` on: as in the last complete cycle, on average of three, nothing, or by a file.

    `given` are quantities of a whole cycle by (customer id, meter id); they go before the basis.
    """

    now: datetime
    basis: Basis = "last"
    given: Mapping[tuple[int, int], Decimal] | None = None


class Assumed(Facts):
    """Facts as they stand, with assumed usage from now on."""

    def __init__(self, assumption: Assumption) -> None:
        self.assumption = assumption

    def answers(self, questions: Iterable[Question]) -> dict[Question, Answer]:
        """What was used, and what will be. CannotAssume where a file gives one quantity and a price needs more."""
        asked = list(dict.fromkeys(questions))
        meters = {each.pk: each for each in Meter.objects.filter(pk__in={each.meter_id for each in asked})}
        parts = {each: self._parts(each, meters[each.meter_id]) for each in asked}
        found = asking.answers(one for part in parts.values() for one in part.real + part.assumed)
        return {question: self._answer(question, part, meters, found) for question, part in parts.items()}

    def _parts(self, question: Question, meter: Meter) -> "_Parts":
        """What to ask for a question: what is known of it, and the stretches that stand for the rest."""
        now, period = self.assumption.now, question.period
        if period.until <= now:
            return _Parts((question,), ())
        started = period.start < now
        real = (replace(question, period=Period(period.start, now)),) if started else ()
        if self.assumption.basis == "none" or self._given(question) is not None:
            return _Parts(real, ())
        apart = meter.aggregation in NOT_ADDITIVE or meter.aggregation == "weighted_sum"
        rest = period if apart or not started else Period(now, period.until)
        several = CYCLES if self.assumption.basis == "average" and self._averages(question) else 1
        stand_ins = [
            reference(rest, question.full, question.timezone, Period(now, None), back) for back in range(several)
        ]
        full = [
            reference(question.full, question.full, question.timezone, Period(now, None), b) for b in range(several)
        ]
        assumed = tuple(
            replace(question, period=part, full=whole)
            for part, whole in zip(stand_ins, full, strict=True)
            if not part.is_empty
        )
        return _Parts(() if apart and meter.aggregation != "max" else real, assumed)

    @staticmethod
    def _averages(question: Question) -> bool:
        """Whether usage as the price takes it has an average: single events and windows have none."""
        return question.need.kind != "events" and not question.window

    def _given(self, question: Question) -> Decimal | None:
        return (self.assumption.given or {}).get((question.customer_id, question.meter_id))

    def _answer(
        self, question: Question, parts: "_Parts", meters: Mapping[int, Meter], found: Mapping[Question, Answer]
    ) -> Answer:
        real = [found[each] for each in parts.real]
        assumed = [found[each] for each in parts.assumed]
        given = self._given(question)
        if given is not None and question.period.until > self.assumption.now:
            assumed = [_answer_of(_share_of(given, question, self.assumption.now), question)]
        if not real and not assumed:
            return _empty(question)
        if len(assumed) > 1:
            assumed = [_average(assumed)]
        largest = meters[question.meter_id].aggregation == "max"
        return reduce(_larger if largest else _joined, [*real, *assumed])


@dataclass(frozen=True, slots=True)
class _Parts:
    real: tuple[Question, ...]
    assumed: tuple[Question, ...]


def _share_of(given: Decimal, question: Question, now: datetime) -> Decimal:
    """What is left of a cycle's quantity, by seconds."""
    rest = Period(max(now, question.period.start), question.period.until)
    part = Fraction(given) * share(rest, question.full, "second", question.timezone)
    return (Decimal(part.numerator) / Decimal(part.denominator)).quantize(_PLACES, context=_WIDE).normalize(_WIDE)


def _answer_of(quantity: Decimal, question: Question) -> Answer:
    """One quantity as the price takes it."""
    if question.need.kind != "quantity" or question.window:
        raise CannotAssume(
            "A file gives one quantity a cycle, and this price needs more than that: assume the last cycle."
        )
    return Answer((quantity,), quantity)


def _empty(question: Question) -> Answer:
    """No usage, as the price takes it."""
    nothing = replace(question, period=Period(question.period.start, question.period.start))
    return asking.answers([nothing])[nothing]


def _joined(one: Answer, other: Answer) -> Answer:
    """Two stretches of time one after the other."""
    quantity = None if one.quantity is None or other.quantity is None else EXACT.add(one.quantity, other.quantity)
    if one.starts or other.starts or one.empty or other.empty:
        return Answer(one.usages + other.usages, quantity, one.starts + other.starts, one.empty + other.empty)
    return Answer((both(one.usages[0], other.usages[0]),), quantity)


def _larger(one: Answer, other: Answer) -> Answer:
    """The larger of two maximums; where a price takes them apart, both."""
    if isinstance(one.usages[0] if one.usages else None, Decimal) and not one.starts and not other.starts:
        largest = max(one, other, key=lambda each: each.quantity or Decimal(0))
        return largest
    return other


def _average(answers: list[Answer]) -> Answer:
    """The mean of several cycles, to six places."""
    usage = reduce(both, [each.usages[0] for each in answers])
    mean = _divided(usage, len(answers))
    quantities = [each.quantity for each in answers]
    known = [each for each in quantities if each is not None]
    return Answer((mean,), _mean(sum(known, Decimal(0)), len(answers)) if len(known) == len(quantities) else None)


def _divided(usage: Usage, count: int) -> Usage:
    match usage:
        case Decimal():
            return _mean(usage, count)
        case Totals(amount, events):
            return Totals(_mean(amount, count), round(Fraction(events, count)))
        case Cells(dimensions, rows):
            return Cells(dimensions, tuple((values, _mean(quantity, count)) for values, quantity in rows))
    return usage


def _mean(amount: Decimal, count: int) -> Decimal:
    return _WIDE.divide(amount, Decimal(count)).quantize(_PLACES, context=_WIDE).normalize(_WIDE)
