"""What usage is worth up to an instant, billed or not: what the books accrue as it happens."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from billing.invoicing.drafts import ensure_slots, ensure_streams
from billing.invoicing.engine import rate_usage, terms_of
from billing.invoicing.terms import ContractTerms
from billing.invoicing.usage import wanted_usage
from billing.periods import Period
from customers.models import Contract
from customers.states import ContractState

CHUNK = 500


@dataclass(frozen=True, slots=True)
class Accrued:
    """The value of a usage slot rated on what was used in its cycle up to an instant, rounded as its line would be."""

    contract_id: int
    customer_id: int
    entity_id: int
    slot_id: int
    currency: str
    cycle: Period
    value: Decimal


def accrued_usage(
    *, until: Mapping[int, datetime], since: Mapping[int, datetime] | None = None,
    contract_ids: Sequence[int] | None = None,
) -> Iterator[Accrued]:  # fmt: skip
    """The value of every usage slot whose cycle starts before `until` (per legal entity id), by usage before `until`.

    `since` leaves out cycles that ended at or before it. Slot rows are made where absent. A contract whose terms cannot
    be read accrues nothing; a billing run holds it with the reason. Queries per chunk of 500 contracts are constant.
    """
    contracts = Contract.objects.filter(state=ContractState.ACTIVE, entity_id__in=until.keys()).order_by("id")
    if contract_ids is not None:
        contracts = contracts.filter(id__in=contract_ids)
    ids = list(contracts.values_list("id", flat=True))
    for start in range(0, len(ids), CHUNK):
        yield from _accrued(list(Contract.objects.filter(id__in=ids[start : start + CHUNK])), until, since or {})


def _accrued(
    contracts: Sequence[Contract], until: Mapping[int, datetime], since: Mapping[int, datetime]
) -> Iterator[Accrued]:
    terms = [each for each in terms_of(contracts).values() if isinstance(each, ContractTerms)]
    wanted = [
        (each, wanted_usage(each, until[each.entity_id], complete=False, since=since.get(each.entity_id)))
        for each in terms
    ]
    rated = rate_usage(wanted)
    streams = ensure_streams((each.contract_id, slot.stream) for each, slots in wanted for slot in slots)
    slots = ensure_slots((streams[slot.stream], slot.cycle) for _, group in wanted for slot in group)
    for each in terms:
        for slot in rated[each.contract_id]:
            yield Accrued(
                contract_id=each.contract_id, customer_id=each.customer_id, entity_id=each.entity_id,
                slot_id=slots[streams[slot.stream], slot.cycle.start], currency=each.currency, cycle=slot.cycle,
                value=slot.amount,
            )  # fmt: skip
