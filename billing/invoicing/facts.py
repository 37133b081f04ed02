"""What a delta is computed from: terms, what stands recorded, and usage. By default what stands now.

Whoever asks what would be, or what was, gives other facts to the same rules (`engine.deltas`).
"""

from collections.abc import Iterable, Sequence

from billing.invoicing import asking, load, recorded
from billing.invoicing.concessions.queries import concessions_of
from billing.invoicing.concessions.rules import Concession
from billing.invoicing.errors import InvoicingError
from billing.invoicing.fees import BilledFee
from billing.invoicing.manual.queries import manual_of
from billing.invoicing.manual.rules import Manual
from billing.invoicing.recorded import Standings
from billing.invoicing.terms import ContractTerms
from billing.invoicing.usage import Answer, Question
from billing.invoicing.voiding.queries import waived_of
from billing.invoicing.voiding.rules import Waived
from customers.models import Contract


class Facts:
    """Facts and records as they stand. The queries of each method are constant, however many contracts."""

    def terms(self, contracts: Sequence[Contract]) -> dict[int, ContractTerms | InvoicingError]:
        """Each contract's terms by id, or why they cannot be read."""
        return terms_of(contracts)

    def standing(self, contract_ids: Sequence[int]) -> dict[int, Standings]:
        """The slots of each contract as they stand recorded."""
        return recorded.standing_slots(contract_ids)

    def fees(self, contract_ids: Sequence[int]) -> dict[int, list[BilledFee]]:
        """The recorded fees of each contract."""
        return recorded.billed_fees(contract_ids)

    def manual(self, contract_ids: Sequence[int]) -> dict[int, list[Manual]]:
        """What was added to each contract's drafts by hand; contracts without any are not there."""
        return manual_of(contract_ids)

    def concessions(self, contract_ids: Sequence[int]) -> dict[int, list[Concession]]:
        """What was conceded of each contract's invoices; contracts without any are not there."""
        return concessions_of(contract_ids)

    def waived(self, contract_ids: Sequence[int]) -> dict[int, Waived]:
        """What each contract is not billed again; contracts with nothing waived are not there."""
        return waived_of(contract_ids)

    def answers(self, questions: Iterable[Question]) -> dict[Question, Answer]:
        """What was used, for each question."""
        return asking.answers(questions)


NOW = Facts()


def terms_of(contracts: Sequence[Contract]) -> dict[int, ContractTerms | InvoicingError]:
    """Each contract's terms in force by id, or why they cannot be read."""
    ids = [contract.id for contract in contracts]
    intervals, own, free = load.intervals_of(ids), load.own_terms(ids), load.free_times_of(ids)
    versions = load.versions_of({each.version_id for group in intervals.values() for each in group})
    found: dict[int, ContractTerms | InvoicingError] = {}
    for contract in contracts:
        try:
            found[contract.id] = load.contract_terms(
                contract, intervals[contract.id], versions, own, free.get(contract.id, ())
            )
        except InvoicingError as error:
            found[contract.id] = error
    return found
