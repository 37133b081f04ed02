"""What a contract will be invoiced, foreseen from its terms alone: the run's rules for fees on plain values (R4).

A change becomes known at its own instant. Nothing is learned between two changes, so that the fees that fall due
between them are those that one run just before the second finds. Pure: no Django, no clock.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Final

from billing.cycles import BillingCalendar, Cadence
from billing.invoicing.fees import TICK, BilledFee, FeeLine, fee_lines
from billing.invoicing.terms import ChargeTerms, ContractTerms, FreeTime, Interval
from billing.periods import Period, local_date
from billing.pricing import Price

_FEE: Final = (1, 1)


@dataclass(frozen=True, slots=True)
class Change:
    """New terms from the instant `at` on: a price; a cycle that begins anew there; unused time credited or not."""

    at: datetime
    price: Price
    cadence: Cadence | None = None
    restart: bool = False
    credited: bool = True


@dataclass(frozen=True, slots=True)
class Fee:
    """A fee over a term, as it was agreed first; `free` is a trial, or None."""

    calendar: BillingCalendar
    term: Period
    price: Price
    proration: str
    in_advance: bool
    free: Period | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A part of a period that is invoiced; a credit names the place of the charge that it corrects."""

    period: Period
    full: Period
    fraction: Fraction
    invoice_on: date
    amount: Decimal
    credit_for: int | None = None


def foreseen(fee: Fee, changes: Sequence[Change], until: datetime) -> list[Entry]:
    """Everything that is invoiced before `until`, in order of the day it is; on one day credits come first."""
    books = [_Cycles(_terms(fee))]
    entries: list[Entry] = []
    left = sorted(changes, key=lambda each: each.at)
    while left:
        at = _effective(books[-1].terms, left[0].at)
        now, left = [each for each in left if each.at <= at], [each for each in left if each.at > at]
        if at < until and books[-1].terms.term.contains(at):
            entries += _due(books, at - TICK, entries)
            _learn(books, _together(now), at)
            entries += _due(books, at, entries)
    return entries + _due(books, until - TICK, entries)


def _together(changes: Sequence[Change]) -> Change:
    """Changes that take effect at one instant as one: what the later sets holds."""
    return replace(
        changes[-1],
        cadence=next((each.cadence for each in reversed(changes) if each.cadence), None),
        restart=any(each.restart for each in changes),
        credited=all(each.credited for each in changes),
    )


@dataclass(slots=True)
class _Cycles:
    """A run of cycles that no restart interrupts, with what was billed of them."""

    terms: ContractTerms
    billed: list[BilledFee]

    def __init__(self, terms: ContractTerms) -> None:
        self.terms, self.billed = terms, []


def _terms(fee: Fee) -> ContractTerms:
    free = (FreeTime(_FEE[0], fee.free, "trial"),) if fee.free else ()
    return ContractTerms(
        contract_id=1, customer_id=1, entity_id=1, currency=fee.price.currency, proration=fee.proration,
        calendar=fee.calendar, term=fee.term, free=free,
        intervals=(_interval(fee.term, fee.price, in_advance=fee.in_advance),),
    )  # fmt: skip


def _interval(period: Period, price: Price, *, in_advance: bool) -> Interval:
    charge = ChargeTerms(charge_id=1, code_id=_FEE[1], name="Fee", position=1, in_advance=in_advance, price=price)
    return Interval(_FEE[0], period, Decimal(1), (charge,))


def _effective(terms: ContractTerms, at: datetime) -> datetime:
    """When a change takes effect: at once, or without proration with the next period (R4.3)."""
    if terms.proration != "none":
        return at
    period = terms.calendar.cycle_at(at).period
    return at if period.start == at else period.until


def _learn(books: list[_Cycles], change: Change, at: datetime) -> None:
    """Let the new terms hold from the instant on, in the running cycle or in one that begins there."""
    old = books[-1].terms
    before, after = Period(old.term.start, at), Period(at, old.term.end)
    interval = _interval(after, change.price, in_advance=old.intervals[0].charges[0].in_advance)
    if not change.credited:
        for line in (line for cycles in books for line in cycles.billed):
            line.covered = [rest for stretch in line.covered for rest in stretch.subtract([after])]
    if change.restart or change.cadence:
        books[-1].terms = replace(old, term=before)
        cadence = change.cadence or old.calendar.cadence
        calendar = BillingCalendar(cadence, at, old.calendar.timezone, stub_divisor="from_start")
        books.append(_Cycles(replace(old, term=after, calendar=calendar, intervals=(interval,))))
    else:
        kept = [replace(each, period=part) for each in old.intervals if (part := each.period.intersect(before))]
        books[-1].terms = replace(old, intervals=(*kept, interval))


def _due(books: list[_Cycles], as_of: datetime, entries: list[Entry]) -> list[Entry]:
    """What a run as of the instant bills, which is then recorded; lines are numbered by their place among entries."""
    lines = [(cycles, line) for cycles in books for line in fee_lines(cycles.terms, cycles.billed, as_of)]
    found = sorted(((*_dated(cycles.terms, line, as_of), cycles, line) for cycles, line in lines), key=_order)
    shown: list[Entry] = []
    for on, full, cycles, line in found:
        if line.corrects is not None:
            _credit(cycles.billed, line)
            if not line.amount:
                continue
        calendar, proration = cycles.terms.calendar, cycles.terms.proration
        fraction = calendar.share(line.service, full, proration) if line.corrects is not None else line.fraction
        if line.corrects is None:
            cycles.billed.append(_recorded(line, len(entries) + len(shown)))
        shown.append(Entry(line.service, full, fraction, on, line.amount, line.corrects))
    return shown


def _dated(terms: ContractTerms, line: FeeLine, as_of: datetime) -> tuple[date, Period]:
    """The day on which a line is invoiced, and the full period that it is a part of."""
    cycle = terms.calendar.cycle_at(line.service.start)
    if line.corrects is not None:
        at = as_of
    else:
        in_advance = terms.intervals[0].charges[0].in_advance
        at = line.service.start if in_advance else terms.due(cycle.period)
    return local_date(at, terms.calendar.timezone), cycle.full


def _order(found: tuple[date, Period, _Cycles, FeeLine]) -> tuple[date, bool, datetime]:
    on, _, _, line = found
    return on, line.corrects is None, line.service.start


def _recorded(line: FeeLine, place: int) -> BilledFee:
    """The charge as the next run finds it."""
    return BilledFee(
        line_id=place, charge_id=line.charge_id, name=line.name, stream=line.stream, service=line.service,
        terms=line.terms, amount=line.amount, standing=line.amount, covered=[line.service],
    )  # fmt: skip


def _credit(billed: Sequence[BilledFee], credit: FeeLine) -> None:
    """Take a credit off the charge that it corrects."""
    for line in billed:
        if line.line_id == credit.corrects:
            line.covered = [rest for stretch in line.covered for rest in stretch.subtract([credit.service])]
            line.standing += credit.amount
