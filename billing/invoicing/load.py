"""Facts from the database as the plain values of `terms.py`: a chunk of contracts in a constant number of queries."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from itertools import groupby

from billing.catalog.agreements.queries import agreed_of
from billing.catalog.free.queries import free_times_of
from billing.catalog.models import PlanVersion, SubscriptionInterval
from billing.catalog.terms import queries
from billing.catalog.terms.dates import calendar_of
from billing.catalog.terms.errors import TermsError
from billing.catalog.terms.queries import OwnTerms, bound_by, intervals_of, versions_of
from billing.catalog.terms.resolve import Resolved
from billing.cycles import BillingCalendar
from billing.invoicing.errors import BadTerms
from billing.invoicing.terms import ContractTerms, FreeTime
from billing.periods import Period, local_midnight
from customers.models import Contract

__all__ = ["OwnTerms", "Versions", "as_of_instant", "calendar_of", "contract_terms", "free_times_of", "intervals_of",
           "own_terms", "versions_of"]  # fmt: skip

Versions = Mapping[int, PlanVersion]


def contract_terms(
    contract: Contract,
    intervals: Sequence[SubscriptionInterval],
    versions: Versions,
    own: OwnTerms,
    free: Sequence[FreeTime] = (),
) -> ContractTerms:
    """A contract as the rules see it, its customer's own terms on top of the plan versions'.

    BadTerms where a charge has no price in the contract's currency, or a term does not fit what is in force.
    """
    try:
        resolved = _resolved(contract, intervals, versions, own)
        spend, discounts = own.agreed.spend(contract), own.agreed.discounts(contract)
    except TermsError as error:
        raise BadTerms(str(error)) from error
    calendar = calendar_of(contract)
    return ContractTerms(
        contract_id=contract.id, customer_id=contract.customer_id, entity_id=contract.entity_id,
        currency=contract.currency, proration=contract.proration, calendar=calendar, term=_term(contract, calendar),
        intervals=tuple(interval for each in resolved for interval in each.intervals),
        spend=(*(each for one in resolved for each in one.spend), *spend), discounts=discounts, free=tuple(free),
    )  # fmt: skip


def own_terms(contract_ids: Sequence[int]) -> OwnTerms:
    """The current terms of the contracts' subscriptions, and what the contracts as a whole agreed; constant queries."""
    own = queries.own_terms(contract_ids)
    own.agreed = agreed_of(contract_ids)
    return own


def _term(contract: Contract, calendar: BillingCalendar) -> Period:
    """From the first day to the last; nothing is billed after the last of listed dates until later ones are listed."""
    ends = [local_midnight(contract.end, contract.timezone)] if contract.end else []
    ends += [calendar.last] if calendar.last else []
    return Period(calendar.start, min(ends) if ends else None)


def _resolved(
    contract: Contract, intervals: Sequence[SubscriptionInterval], versions: Versions, own: OwnTerms
) -> list[Resolved]:
    """Each subscription's terms over time."""
    found = []
    rows = sorted(intervals, key=lambda each: (each.subscription_id, each.start))
    for _, group in groupby(rows, lambda each: each.subscription_id):
        found.append(own.resolved(contract, [bound_by(each, versions, contract.currency) for each in group]))
    return found


def as_of_instant(as_of: date, contract: Contract) -> datetime:
    """An as_of date means the start of that day in each contract's zone."""
    return local_midnight(as_of, contract.timezone)
