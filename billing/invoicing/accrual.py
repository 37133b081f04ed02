"""What usage is worth up to an instant, billed or not: what the books accrue as it happens."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from billing.invoicing.coupons import taken_off
from billing.invoicing.engine import rate_usage
from billing.invoicing.errors import CannotRate
from billing.invoicing.facts import terms_of
from billing.invoicing.lines import ensure_slots, ensure_streams
from billing.invoicing.rated import Rated, SlotKey
from billing.invoicing.recorded import Standings, billed_cycles, standing_slots
from billing.invoicing.spend import Spent, spend_slots
from billing.invoicing.taxes.included import Priced, take_tax_out
from billing.invoicing.terms import ContractTerms
from billing.invoicing.usage import Wanted, wanted_usage
from billing.invoicing.voiding.queries import waived_of
from billing.invoicing.voiding.rules import NOTHING, Waived
from billing.periods import Period
from customers.models import Contract
from customers.states import ContractState

CHUNK = 500
Told = tuple[int, ContractTerms, Rated]
"""A window by its place, whose it is, and what a slot stands at then."""


@dataclass(frozen=True, slots=True)
class Accrued:
    """The value of a slot rated on what was used in its cycle up to an instant, rounded as its line would be."""

    contract_id: int
    customer_id: int
    entity_id: int
    slot_id: int
    currency: str
    cycle: Period
    value: Decimal


def accrued_usage(
    *,
    windows: Sequence[Mapping[int, Period]],
    contract_ids: Sequence[int] | None = None,
    untold: set[int] | None = None,
) -> Iterator[tuple[int, Accrued]]:
    """For each window, by its place: every slot whose cycle overlaps it, valued on usage before the window's end.

    A window gives a period to each legal entity id that it concerns (months are cut in the entity's zone); one with an
    end. Windows come in order for each contract. Slot rows are made where absent; a minimum, and what is agreed on
    spending, has a value from the window on in which its cycle or its term is complete. A contract whose terms cannot
    be read or rated accrues nothing and is added to `untold`; a billing run holds it with the reason. Queries per chunk
    of 500 contracts are constant, however many windows.
    """
    entities = {entity for window in windows for entity in window}
    contracts = Contract.objects.filter(state=ContractState.ACTIVE, entity_id__in=entities).order_by("id")
    if contract_ids is not None:
        contracts = contracts.filter(id__in=contract_ids)
    ids = list(contracts.values_list("id", flat=True))
    for start in range(0, len(ids), CHUNK):
        chunk = list(Contract.objects.filter(id__in=ids[start : start + CHUNK]))
        yield from _accrued(chunk, windows, set() if untold is None else untold)


def _accrued(
    contracts: Sequence[Contract], windows: Sequence[Mapping[int, Period]], untold: set[int]
) -> Iterator[tuple[int, Accrued]]:
    found = terms_of(contracts)
    terms = [each for each in found.values() if isinstance(each, ContractTerms)]
    untold.update(found.keys() - {each.contract_id for each in terms})
    standing = standing_slots([each.contract_id for each in terms])
    asked = [
        (place, each, _wanted(each, window[each.entity_id], standing[each.contract_id]))
        for place, window in enumerate(windows)
        for each in terms
        if each.entity_id in window
    ]
    spending = [(each, last) for each in terms if (each.spend or each.discounts) and (last := _last(each, windows))]
    rated = rate_usage([
        *((each, wanted) for _, each, wanted in asked),
        *((each, wanted_usage(each, last, kept=billed_cycles(standing[each.contract_id]))) for each, last in spending),
    ])  # fmt: skip
    untold.update(
        each.contract_id
        for each, group in zip([*(row[1] for row in asked), *(row[0] for row in spending)], rated, strict=True)
        if isinstance(group, CannotRate)
    )
    told = [
        (place, each, slot)
        for (place, each, _), group in zip(asked, rated[: len(asked)], strict=True)
        if each.contract_id not in untold and not isinstance(group, CannotRate)
        for slot in group
    ]
    for (each, last), group in zip(spending, rated[len(asked) :], strict=True):
        if each.contract_id not in untold and not isinstance(group, CannotRate):
            told += [(place, each, slot) for place, slot in _spent(each, group, last, windows)]
    waived = waived_of([each.contract_id for each in terms])
    yield from _valued(_without_tax(contracts, standing, told, untold), waived)


def _valued(told: Sequence[Told], waived: Mapping[int, Waived]) -> Iterator[tuple[int, Accrued]]:
    """What is told as rows, with the slots that they are of. What is waived is never billed, and no revenue."""
    streams = ensure_streams({(each.contract_id, slot.stream) for _, each, slot in told})
    slots = ensure_slots({(streams[slot.stream], slot.kind, slot.cycle, slot.about) for _, _, slot in told})
    for place, each, slot in told:
        yield place, Accrued(
            contract_id=each.contract_id, customer_id=each.customer_id, entity_id=each.entity_id,
            slot_id=slots[streams[slot.stream], slot.kind, slot.cycle, slot.about], currency=each.currency,
            cycle=slot.cycle, value=waived.get(each.contract_id, NOTHING).less(slot.key, slot.amount),
        )  # fmt: skip


def _without_tax(
    contracts: Sequence[Contract], standing: Mapping[int, Standings], told: list[Told], untold: set[int]
) -> list[Told]:
    """The same, prices that hold the tax without it: tax is no revenue. A contract whose tax is unknown is `untold`."""
    wants = {each.pk: Priced(each, standing[each.pk], []) for each in contracts if each.pk not in untold}
    for _, each, slot in told:
        wants[each.contract_id].slots.append(slot)
    untold |= take_tax_out(list(wants.values())).keys()
    left = {key: iter(each.slots) for key, each in wants.items()}
    found = [(place, each, next(left[each.contract_id])) for place, each, _ in told]
    return [row for row in found if row[1].contract_id not in untold]


def _last(terms: ContractTerms, windows: Sequence[Mapping[int, Period]]) -> datetime | None:
    """The end of the last window that concerns the contract."""
    return max((window[terms.entity_id].until for window in windows if terms.entity_id in window), default=None)


def _spent(
    terms: ContractTerms, usage: Sequence[Rated], last: datetime, windows: Sequence[Mapping[int, Period]]
) -> Iterator[tuple[int, Rated]]:
    """What agreements on spending come to, each in the window in which its cycle or its term is complete."""
    spends = spend_slots(terms, usage, last)
    for spent in spends:
        for place, window in enumerate(windows):
            own = window.get(terms.entity_id)
            if own is not None and own.start < spent.due <= own.until:
                yield place, spent.slot
    yield from _off(terms, usage, spends, windows)


def _off(
    terms: ContractTerms, usage: Sequence[Rated], spends: Sequence[Spent], windows: Sequence[Mapping[int, Period]]
) -> Iterator[tuple[int, Rated]]:
    """What coupons take off usage and agreed spending, as it stands at the end of each window in which it changes.

    What they take off a fee is revenue by day, as the fee itself, and accrues nothing.
    """
    before: dict[SlotKey, Rated] = {}
    for place, window in enumerate(windows if terms.discounts else ()):
        own = window.get(terms.entity_id)
        if own is None:
            continue
        off = taken_off(terms, usage, spends, own.until)
        found = {slot.key: slot for slot in off if slot.charge is None or slot.charge.meter_id is not None}
        for key, slot in found.items():
            if key not in before or before[key].amount != slot.amount:
                yield place, slot
        for key in before.keys() - found.keys():
            yield place, replace(before[key], amount=Decimal(0))
        before = found


def _wanted(terms: ContractTerms, window: Period, standing: Standings) -> list[Wanted]:
    """The cycles that overlap a window, the running one up to its end."""
    return wanted_usage(terms, window.until, complete=False, since=window.start, kept=billed_cycles(standing))
