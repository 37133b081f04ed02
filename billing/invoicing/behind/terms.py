"""The terms of lines as they were known when the lines were computed, and whose usage counted."""

from collections import defaultdict
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime

from billing.invoicing.computations.models import Computation
from billing.invoicing.errors import InvoicingError
from billing.invoicing.facts import terms_of
from billing.invoicing.models import InvoiceLine
from billing.invoicing.terms import ContractTerms
from billing.metering.asking import Claim, Known
from billing.metering.queries import claims_of
from customers.knowledge import as_known_at, in_force
from customers.models import Contract


@dataclass(frozen=True, slots=True)
class KnownTerms:
    """A line's contract with its terms and its customer's claims, as known when the line was computed.

    `terms` is None where they cannot be read any more. `usage` is None for lines of releases that did not keep what
    was known: they are told by what is known now.
    """

    contract: Contract
    terms: ContractTerms | None
    claims: tuple[Claim, ...]
    usage: Known | None
    computed_at: datetime | None


def known_terms(lines: Iterable[InvoiceLine]) -> dict[int, KnownTerms]:
    """What each line was computed from, by its id; the queries grow with computations, not with lines.

    `lines` come with `stream`.
    """
    groups: dict[int | None, list[InvoiceLine]] = defaultdict(list)
    for line in lines:
        groups[line.known].append(line)
    computations = Computation.objects.in_bulk([number for number in groups if number is not None])
    found: dict[int, KnownTerms] = {}
    for number, group in groups.items():
        with as_known_at(number) if number is not None else nullcontext():
            found |= _known(group, computations.get(number or 0))
    return found


def _known(lines: Iterable[InvoiceLine], computation: Computation | None) -> dict[int, KnownTerms]:
    """Those of one computation, within what it knew."""
    rows = Contract.objects.filter(pk__in={line.stream.contract_id for line in lines})
    contracts = {each.pk: each for each in in_force(rows)}
    terms = terms_of(list(contracts.values()))
    claims = claims_of({contract.customer_id for contract in contracts.values()})
    found = {}
    for line in lines:
        contract = contracts.get(line.stream.contract_id)
        if contract is not None:
            mine = terms[contract.pk]
            found[line.pk] = KnownTerms(
                contract, None if isinstance(mine, InvoicingError) else mine, claims[contract.customer_id],
                computation.known if computation else None, computation.made_at if computation else None,
            )  # fmt: skip
    return found
