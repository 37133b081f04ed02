"""desired − recorded for a chunk of contracts: the one function behind runs, previews and recalculated drafts.

It writes nothing. The number of queries does not grow with the number of contracts.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from billing.invoicing import load, recorded
from billing.invoicing.errors import InvoicingError
from billing.invoicing.fees import FeeLine, fee_lines
from billing.invoicing.terms import ContractTerms
from billing.invoicing.usage import Rated, SlotLine, Wanted, rated, slot_lines, wanted_usage
from billing.metering.asking import Request
from billing.metering.interface import events
from billing.metering.models import Meter
from billing.metering.queries import claims_of
from customers.models import Contract

ENGINE = "1"
"""Version of the rules that compute lines; a line carries it, to tell a change of rules from a change of facts."""


@dataclass(slots=True)
class Delta:
    """What a contract's next draft holds; `error` instead when the facts do not allow to say."""

    contract: Contract
    fees: list[FeeLine] = field(default_factory=list)
    slots: list[SlotLine] = field(default_factory=list)
    error: InvoicingError | None = None

    @property
    def lines(self) -> list[FeeLine | SlotLine]:
        """Everything to draw up, fees and slots."""
        return [*self.fees, *self.slots]

    @property
    def total(self) -> Decimal:
        """Σ of the rounded lines, in the contract's currency."""
        return sum((line.amount for line in self.lines), Decimal(0))


def terms_of(contracts: Sequence[Contract]) -> dict[int, ContractTerms | InvoicingError]:
    """Each contract's terms by id, or why they cannot be read."""
    ids = [contract.id for contract in contracts]
    intervals, own = load.intervals_of(ids), load.own_terms(ids)
    versions = load.versions_of({each.version_id for group in intervals.values() for each in group})
    found: dict[int, ContractTerms | InvoicingError] = {}
    for contract in contracts:
        try:
            found[contract.id] = load.contract_terms(contract, intervals[contract.id], versions, own)
        except InvoicingError as error:
            found[contract.id] = error
    return found


def deltas(contracts: Sequence[Contract], as_of: Mapping[int, datetime]) -> list[Delta]:
    """desired(facts, as_of) − recorded for each contract; `as_of` gives each contract's instant by its id."""
    terms = terms_of(contracts)
    ids = [contract.id for contract in contracts]
    standing, fees = recorded.standing_slots(ids), recorded.billed_fees(ids)
    good = [each for each in terms.values() if isinstance(each, ContractTerms)]
    wanted = [(each, wanted_usage(each, as_of[each.contract_id])) for each in good]
    usage = dict(zip([each.contract_id for each in good], rate_usage(wanted), strict=True))
    result = []
    for contract in contracts:
        each = terms[contract.id]
        if isinstance(each, InvoicingError):
            result.append(Delta(contract, error=each))
            continue
        instant = as_of[contract.id]
        result.append(
            Delta(
                contract,
                fees=fee_lines(each, fees[contract.id], instant),
                slots=slot_lines(usage[contract.id], standing[contract.id], instant),
            )
        )
    return result


def rate_usage(wanted: Sequence[tuple[ContractTerms, list[Wanted]]]) -> list[list[Rated]]:
    """Ask the store for every part's quantity, one statement a meter, and rate each slot; in the order asked."""
    claims = claims_of({contract.customer_id for contract, _ in wanted})
    asked: dict[int, list[Request]] = defaultdict(list)
    keys: dict[tuple[int, int, int], int] = {}
    for row, (contract, slots) in enumerate(wanted):
        for column, slot in enumerate(slots):
            for place, part in enumerate(slot.parts):
                meter_id = part.charge.meter_id
                assert meter_id is not None  # usage has a meter
                keys[row, column, place] = len(keys)
                request = Request(
                    len(keys) - 1, claims[contract.customer_id], part.period, slot.cycle, contract.calendar.timezone
                )
                asked[meter_id].append(request)
    meters = Meter.objects.in_bulk(asked)
    answers = {}
    for meter_id, requests in asked.items():
        answers.update(events.quantities(meters[meter_id], requests))
    found: list[list[Rated]] = [[] for _ in wanted]
    for row, (contract, slots) in enumerate(wanted):
        for column, slot in enumerate(slots):
            parts = [answers[keys[row, column, place]] for place in range(len(slot.parts))]
            found[row].append(rated(contract, slot, [part.value for part in parts]))
    return found
