"""What usage is worth up to an instant, billed or not: what the books accrue as it happens."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from billing.invoicing.drafts import ensure_slots, ensure_streams
from billing.invoicing.engine import rate_usage, terms_of
from billing.invoicing.errors import CannotRate
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
    *, windows: Sequence[Mapping[int, Period]], contract_ids: Sequence[int] | None = None
) -> Iterator[tuple[int, Accrued]]:
    """For each window, by its place: every usage slot whose cycle overlaps it, valued on usage before the window's end.

    A window gives a period to each legal entity id that it concerns (months are cut in the entity's zone); one with an
    end. Windows come in order for each contract. Slot rows are made where absent. A contract whose terms cannot be read
    accrues nothing; a billing run holds it with the reason. Queries per chunk of 500 contracts are constant, however
    many windows.
    """
    entities = {entity for window in windows for entity in window}
    contracts = Contract.objects.filter(state=ContractState.ACTIVE, entity_id__in=entities).order_by("id")
    if contract_ids is not None:
        contracts = contracts.filter(id__in=contract_ids)
    ids = list(contracts.values_list("id", flat=True))
    for start in range(0, len(ids), CHUNK):
        yield from _accrued(list(Contract.objects.filter(id__in=ids[start : start + CHUNK])), windows)


def _accrued(contracts: Sequence[Contract], windows: Sequence[Mapping[int, Period]]) -> Iterator[tuple[int, Accrued]]:
    terms = [each for each in terms_of(contracts).values() if isinstance(each, ContractTerms)]
    asked = [
        (
            place,
            each,
            wanted_usage(each, window[each.entity_id].until, complete=False, since=window[each.entity_id].start),
        )
        for place, window in enumerate(windows)
        for each in terms
        if each.entity_id in window
    ]
    rated = rate_usage([(each, wanted) for _, each, wanted in asked])
    streams = ensure_streams({(each.contract_id, slot.stream) for _, each, wanted in asked for slot in wanted})
    slots = ensure_slots({(streams[slot.stream], slot.cycle) for _, _, wanted in asked for slot in wanted})
    for (place, each, _), group in zip(asked, rated, strict=True):
        for slot in () if isinstance(group, CannotRate) else group:
            yield place, Accrued(
                contract_id=each.contract_id, customer_id=each.customer_id, entity_id=each.entity_id,
                slot_id=slots[streams[slot.stream], slot.cycle.start], currency=each.currency, cycle=slot.cycle,
                value=slot.amount,
            )  # fmt: skip
