"""The next invoices of one contract: a rehearsal so many cycles ahead, cut to the first documents."""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Final

from billing.invoicing.facts import terms_of
from billing.invoicing.terms import ContractTerms
from billing.periods import local_date
from billing.rehearsal.assumed import Assumption
from billing.rehearsal.services import Foreseen, rehearse
from customers.models import Contract

_FAR: Final = timedelta(days=366 * 400)


def upcoming(*, contract: Contract, count: int, assumption: Assumption) -> list[Foreseen]:
    """The first `count` documents of an active contract from now on, and before the last of them what would be held.

    Nothing is written. CannotAssume where a file gives one quantity and a price needs more.
    """
    to = _end(contract, count, assumption.now)
    return _first(rehearse(contract_ids=[contract.pk], to=to, assumption=assumption), count)


def _end(contract: Contract, count: int, now: datetime) -> date:
    """The day on which the last of so many cycles ends, in the contract's zone; tomorrow where none is known."""
    terms = terms_of([contract])[contract.pk]
    if not isinstance(terms, ContractTerms):
        return local_date(now, contract.timezone) + timedelta(days=1)
    cycles = islice(terms.calendar.cycles(now + _FAR, now), count)
    ends = [cycle.period.end for cycle in cycles if cycle.period.end is not None]
    return local_date(max(ends, default=now + timedelta(days=1)), contract.timezone)


def _first(found: Iterable[Foreseen], count: int) -> list[Foreseen]:
    kept: list[Foreseen] = []
    for each in found:
        if sum(not one.problem for one in kept) == count:
            break
        kept.append(each)
    return kept
