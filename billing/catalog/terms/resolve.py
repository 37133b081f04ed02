"""What a subscription binds at each instant: its plan versions' charges under the customer's own terms.

Where several terms concern a charge they apply in one order, whatever the order in which they were recorded: another
price, tiers, factor, meter, part of the usage, free quantity, discounts, minimum, maximum, quantity; within a kind the
charge's own before those of all charges, then by value. Pure: no Django, no clock.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType

from billing.catalog.changes.options import DEFAULT
from billing.catalog.terms.applying import ORDER, apply
from billing.catalog.terms.errors import TermsError
from billing.catalog.terms.kinds import AddCharge, Reduce, RemoveCharge, Spend, TermValue
from billing.catalog.terms.values import ChargeTerms, Interval, Source, SpendTerms
from billing.money import plain
from billing.periods import Period

Rates = Mapping[str, Sequence[tuple[datetime, Decimal]]]
"""What a custom unit is worth in the contract's currency, from which instant on, the earliest first."""
NO_RATES: Rates = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Term:
    """One term in force over `period`: about a charge code, or where None about all charges, or about spending.

    `charge` is the one that is added; or, where another meter counts, that meter as far as a charge tells of it.
    """

    value: TermValue
    period: Period
    source: Source
    code_id: int | None = None
    charge: ChargeTerms | None = None
    agreed_end: datetime | None = None


@dataclass(frozen=True, slots=True)
class Resolved:
    """A subscription's terms over time: stretches in order that do not overlap, and what concerns its spending."""

    intervals: tuple[Interval, ...]
    spend: tuple[SpendTerms, ...]


def resolve(bound: Sequence[Interval], terms: Sequence[Term], rates: Rates = NO_RATES) -> Resolved:
    """The stretches of one subscription; `bound` is what its intervals bind without any term of its own.

    Every instant of `bound` is in exactly one stretch, no other instant in any; neighbours that bill alike are one.
    Without terms the stretches are `bound`. `rates` has every custom unit of its prices that has no rate of its own;
    a first rate holds for what was before it too. TermsError where a term does not fit what is in force, or a unit has
    no rate.
    """
    if not terms and not rates:
        return Resolved(tuple(bound), ())
    of_charges = [term for term in terms if not isinstance(term.value, Spend)]
    found: list[Interval] = []
    for interval in bound:
        for period in _stretches(interval.period, of_charges, rates):
            charges = charges_at(interval, of_charges, period.start, rates)
            begun = interval.begun if period.start == interval.period.start else DEFAULT
            ended = interval.ended if period.end == interval.period.end else DEFAULT
            stretch = replace(interval, period=period, charges=charges, begun=begun, ended=ended)
            before = found[-1] if found else None
            if before and _alike(before, stretch):
                found[-1] = replace(before, period=Period(before.period.start, period.end), ended=ended)
            else:
                found.append(stretch)
    subscription_id = bound[0].subscription_id if bound else 0
    return Resolved(tuple(found), tuple(sorted(_spend(subscription_id, terms), key=_spend_order)))


def charges_at(
    interval: Interval, terms: Iterable[Term], instant: datetime, rates: Rates = NO_RATES
) -> tuple[ChargeTerms, ...]:
    """The charges in force at an instant of the interval, in the order of the plan; added ones stand behind."""
    active = [term for term in terms if term.period.contains(instant)]
    charges = _agreed(interval, active) if active else interval.charges
    return tuple(_converted(charge, rates, instant) for charge in charges) if rates else charges


def _agreed(interval: Interval, active: Sequence[Term]) -> tuple[ChargeTerms, ...]:
    """The interval's charges under the terms that hold."""
    removed = {term.code_id for term in active if isinstance(term.value, RemoveCharge)}
    added = [_added(term) for term in active if isinstance(term.value, AddCharge)]
    kept = [charge for charge in interval.charges if charge.code_id not in removed]
    codes = [charge.code_id for charge in (*kept, *added)]
    twice = next((charge for charge in added if codes.count(charge.code_id) > 1), None)
    if twice:
        raise TermsError(f"“{twice.code}” would be charged twice at one time: remove or end the other first.")
    ordered = sorted(active, key=_order)
    charges = [*kept, *sorted(added, key=lambda charge: (charge.position, charge.code_id))]
    return tuple(_under(charge, ordered) for charge in charges)


def _under(charge: ChargeTerms, ordered: Iterable[Term]) -> ChargeTerms:
    """The charge under the terms that concern it, each named among its sources."""
    for term in ordered:
        if term.code_id in (None, charge.code_id) and type(term.value) in ORDER:
            changed = apply(charge, term.value, term.charge)
            charge = replace(changed, sources=(*charge.sources, term.source))
    return charge


def _added(term: Term) -> ChargeTerms:
    assert term.charge is not None  # an added charge is there (constraint term_charge)
    return replace(term.charge, sources=(term.source,))


def _order(term: Term) -> tuple[int, bool, bool, str]:
    """The one order of terms; percentages come before amounts, and what is still equal goes by its text."""
    takes_amount = isinstance(term.value, Reduce) and term.value.discount.amount is not None
    return ORDER.get(type(term.value), 0), term.code_id is None, takes_amount, str(term.value)


def _converted(charge: ChargeTerms, rates: Rates, instant: datetime) -> ChargeTerms:
    """The charge with what its custom unit is worth at an instant, where its price does not say it."""
    unit, currency = charge.price.custom_unit, charge.price.currency
    if unit is None or unit.rate is not None:
        return charge
    dated = rates[unit.code]
    if not dated:
        raise TermsError(
            f"“{charge.name}” is priced in {unit.code}, which have no rate in {currency}: add what one is worth."
        )
    rate = [rate for since, rate in dated if since <= instant][-1:] or [dated[0][1]]
    source = Source("conversion", f"{unit.code} at {currency} {plain(rate[0])}")
    price = replace(charge.price, custom_unit=replace(unit, rate=rate[0]))
    return replace(charge, price=price, sources=(*charge.sources, source))


def _stretches(period: Period, terms: Iterable[Term], rates: Rates) -> list[Period]:
    """The period cut wherever a term starts or ends, or a rate changes."""
    cuts = {bound for term in terms for bound in (term.period.start, term.period.end) if bound is not None}
    cuts |= {since for dated in rates.values() for since, _ in dated[1:]}
    within = sorted(cut for cut in cuts if period.start < cut and (period.end is None or cut < period.end))
    starts: list[datetime] = [period.start, *within]
    return [Period(start, end) for start, end in zip(starts, [*within, period.end], strict=True)]


def _alike(before: Interval, after: Interval) -> bool:
    """Whether nothing tells two stretches apart but time."""
    same = (before.quantity, before.charges) == (after.quantity, after.charges)
    return same and before.period.end == after.period.start


def _spend(subscription_id: int, terms: Iterable[Term]) -> Iterable[SpendTerms]:
    for term in terms:
        if isinstance(term.value, Spend):
            each = term.value
            yield SpendTerms(
                subscription_id=subscription_id, kind=each.kind, name=each.name or NAMES[each.kind],
                amount=each.amount, per=each.per, period=term.period, codes=each.codes,
                overage_factor=each.overage_factor, source=term.source, agreed_end=term.agreed_end,
                overage_prices=each.overage_prices,
            )  # fmt: skip


NAMES = {"minimum": "Minimum spend", "maximum": "Maximum spend", "commitment": "Commitment"}


def _spend_order(spend: SpendTerms) -> tuple[datetime, str]:
    """By start, and then by all that they say, so that the order of recording does not show."""
    return spend.period.start, str(replace(spend, source=None))
