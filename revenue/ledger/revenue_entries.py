"""Revenue to post as journal entries: one for each contract, service month and event (docs/books.md, 4 and 5)."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from billing.invoicing.accrual import Accrued
from customers.models import Contract
from revenue.ledger import chart, periods
from revenue.ledger.journal import NewEntry, NewLine
from revenue.ledger.models import JournalEntry
from revenue.ledger.obligations import UsageSlot, of_slots
from revenue.ledger.recognition import Delta
from revenue.words import month_name

ACCOUNTS = {
    JournalEntry.Event.SERVICE_DELIVERED: (chart.DEFERRED, chart.SUBSCRIPTION_REVENUE, "Service delivered"),
    JournalEntry.Event.USAGE_RATED: (chart.UNBILLED, chart.USAGE_REVENUE, "Usage"),
}
"""By event: the account that revenue is taken from, the account that shows it, and what the memo calls it."""


def with_obligations(found: Sequence[Delta]) -> list[Delta]:
    """The deltas, each with its obligation; those of usage are made where revenue is first recognised of a slot."""
    slots = {delta.slot.slot_id: delta.slot for delta in found if delta.slot}
    contracts = Contract.objects.in_bulk({slot.contract_id for slot in slots.values()})
    made = of_slots(_usage_slot(slot, contracts[slot.contract_id]) for slot in slots.values())
    return [replace(delta, obligation_id=made[delta.slot.slot_id]) if delta.slot else delta for delta in found]


def group(found: Sequence[Delta]) -> list[tuple[NewEntry, list[Delta]]]:
    """An entry for each contract, service month and event, with the deltas that it posts; in the order given.

    The source names the lowest obligation and its revision: a run that computed from what has since moved on cannot
    post the same again.
    """
    contracts = Contract.objects.in_bulk({delta.contract_id for delta in found})
    entries = []
    keyed = groupby(found, key=lambda delta: (delta.contract_id, delta.month, delta.event))
    for (contract_id, month, event), each in keyed:
        deltas = list(each)
        first = deltas[0]
        lowest = min(deltas, key=lambda delta: delta.obligation_id or 0)
        *_, called = ACCOUNTS[event]
        entries.append((
            NewEntry(
                entity_id=first.entity_id,
                event=event,
                source=f"{event.value}/{month:%Y-%m}/{lowest.obligation_id}.{lowest.revision}",
                memo=f"{called} in {month_name(month)}, contract {contracts[contract_id].number}",
                day=periods.last_day(month),
                currency=first.currency,
                lines=tuple(side for delta in deltas for side in _sides(delta)),
            ),
            deltas,
        ))  # fmt: skip
    return entries


def _usage_slot(slot: Accrued, contract: Contract) -> UsageSlot:
    """The slot as obligations are made of it."""
    assert slot.cycle.end is not None  # a cycle has an end
    return UsageSlot(slot.slot_id, contract, slot.cycle.start, slot.cycle.end)


def _sides(delta: Delta) -> tuple[NewLine, NewLine]:
    """Both sides of one obligation's revenue; revenue that is taken back lands on the other sides."""
    source, shown, _ = ACCOUNTS[delta.event]
    return (
        NewLine(source, delta.amount, delta.customer_id, delta.contract_id, delta.obligation_id),
        NewLine(shown, -delta.amount, delta.customer_id, delta.contract_id, delta.obligation_id),
    )
