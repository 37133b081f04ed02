"""What terms would bill: the rating of the run, over any terms, with nothing recorded and nothing written."""

from collections.abc import Collection, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import count
from typing import Any

from billing.catalog.models import PlanVersion, SubscriptionInterval
from billing.invoicing import load
from billing.invoicing.coupons import counted_from, taken_off
from billing.invoicing.engine import rate_usage
from billing.invoicing.errors import CannotRate, InvoicingError
from billing.invoicing.fees import period_fees
from billing.invoicing.rated import Rated
from billing.invoicing.spend import reach, spend_slots
from billing.invoicing.terms import ChargeTerms, ContractTerms, StreamKey
from billing.invoicing.usage import wanted_usage
from billing.periods import Period
from billing.pricing import PriceError
from customers.models import Contract


@dataclass(frozen=True, slots=True)
class ExpectedLine:
    """What the terms bill for a charge in a cycle; `amount` is rounded, in the contract's currency.

    `kind` is that of the invoice line. `cycle` is the whole cycle, `service` the part of it that the terms cover.
    `charge` is None for what belongs to no single charge.
    """

    stream: StreamKey
    charge: ChargeTerms | None
    kind: str
    cycle: Period
    service: Period
    quantity: Decimal | None
    steps: list[dict[str, Any]]
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Expected:
    """What terms bill for a period, and Σ of its lines; `problem` says why it cannot be told, "" if it can."""

    lines: list[ExpectedLine]
    total: Decimal
    currency: str
    problem: str = ""


def terms_under(
    contracts: Sequence[Contract], versions: Mapping[int, PlanVersion], without_own: Collection[int] = ()
) -> dict[int, ContractTerms | InvoicingError]:
    """Each contract's terms, by its id, as if each subscription in `versions`, by its id, had always had that version.

    A draft will do, and so will a version that was never saved: it carries `all_charges`, each with `all_prices`.
    Quantities and dates stay the subscription's own, and the customer's own terms too, but for subscriptions in
    `without_own`. A charge or a code without a row gets a negative id of its own.
    The error stands where terms cannot be told. Constant queries.
    """
    stand_ins = {id(version): -place for place, version in enumerate(versions.values(), 1)}
    ids = [contract.id for contract in contracts]
    intervals = load.intervals_of(ids)
    own, free = load.own_terms(ids).without(without_own), load.free_times_of(ids)
    known = load.versions_of({
        each.version_id for group in intervals.values() for each in group if each.subscription_id not in versions
    })  # fmt: skip
    loaded = load.versions_of({each.pk for each in versions.values() if not hasattr(each, "all_charges")})
    for version in versions.values():
        known[stand_ins[id(version)]] = _identified(loaded.get(version.pk, version))
    found: dict[int, ContractTerms | InvoicingError] = {}
    for contract in contracts:
        bound = [_bound(each, versions, stand_ins) for each in intervals[contract.id]]
        try:
            found[contract.id] = load.contract_terms(contract, bound, known, own, free.get(contract.id, ()))
        except InvoicingError as error:
            found[contract.id] = error
    return found


def _bound(
    interval: SubscriptionInterval, versions: Mapping[int, PlanVersion], stand_ins: Mapping[int, int]
) -> SubscriptionInterval:
    """The interval with the version that it is to have; the row itself is left alone."""
    version = versions.get(interval.subscription_id)
    if version is None:
        return interval
    bound = copy(interval)
    bound.version_id = stand_ins[id(version)]
    return bound


def _identified(version: PlanVersion) -> PlanVersion:
    """The version, in which every charge and its code can be told from the others."""
    fresh = count(1)
    for charge in version.all_charges:  # type: ignore[attr-defined]
        if charge.pk is None:
            charge.pk = -next(fresh)
        if charge.code_id is None:
            code = charge.code
            code.pk = -next(fresh)
            charge.code = code
    return version


def expected(asked: Sequence[tuple[ContractTerms, Period]]) -> list[Expected]:
    """For each: everything that the terms bill for the cycles that end in (period.start, period.end], in order.

    A cycle that the contract's end cuts short ends there. Each question to the usage store is asked once, however many
    of `asked` share it: ask some 500 contracts at once, with all their terms. Constant queries. MonthDetached when
    usage is needed of a month that lies in the archive.
    """
    usage = rate_usage([
        (terms, wanted_usage(terms, period.until, since=_since(terms, period))) for terms, period in asked
    ])  # fmt: skip
    return [_expected(terms, period, rated) for (terms, period), rated in zip(asked, usage, strict=True)]


def _since(terms: ContractTerms, period: Period) -> datetime:
    """What ended at or before it is not needed: agreements on spending, and coupons, count what was charged before."""
    since = min(period.start, counted_from(terms) or period.start)
    return reach(terms, since) if terms.spend else since


def _off(terms: ContractTerms, period: Period, usage: Sequence[Rated]) -> list[Rated]:
    """What coupons and discounts take off the cycles that end in the period."""
    if not terms.discounts:
        return []
    spent = spend_slots(terms, usage, period.until, min(period.start, counted_from(terms) or period.start))
    off = taken_off(terms, usage, spent, period.until)
    return [slot for slot in off if period.start < terms.due(slot.cycle) <= period.until]


def _expected(terms: ContractTerms, period: Period, usage: Sequence[Rated] | CannotRate) -> Expected:
    try:
        if isinstance(usage, CannotRate):
            raise usage
        lines = _lines(terms, period, usage)
    except (InvoicingError, PriceError) as error:
        return Expected([], Decimal(0), terms.currency, str(error))
    return Expected(lines, sum((line.amount for line in lines), Decimal(0)), terms.currency)


def _lines(terms: ContractTerms, period: Period, usage: Sequence[Rated]) -> list[ExpectedLine]:
    slots = [slot for slot in usage if slot.cycle.until > period.start]
    slots += [each.slot for each in spend_slots(terms, usage, period.until, period.start)]
    slots += _off(terms, period, usage)
    return [
        ExpectedLine(line.stream, charge, "recurring", cycle, line.service, line.quantity, line.steps, line.amount)
        for charge, cycle, line in period_fees(terms, period)
    ] + [
        ExpectedLine(
            slot.stream, slot.charge, slot.kind, slot.cycle, slot.service, slot.quantity, slot.steps, slot.amount
        ) for slot in slots
    ]  # fmt: skip
