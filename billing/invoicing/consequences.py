"""What a change of usage would do to invoices: shown before anybody confirms it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db import transaction

from billing.invoicing.engine import deltas
from billing.invoicing.rated import SlotKey
from billing.invoicing.slots import SlotLine
from billing.periods import Period
from customers.models import Contract
from customers.states import ContractState

CHUNK = 200
MAX_CONTRACTS = 1000
"""Contracts that are looked at; a change that touches more is told in numbers of events alone."""


@dataclass(frozen=True, slots=True)
class Consequence:
    """A line that was invoiced, and what it would come to: the difference goes onto the next invoice."""

    contract_id: int
    contract: str
    customer: str
    name: str
    cycle: Period
    currency: str
    billed: Decimal
    before: Decimal
    after: Decimal

    @property
    def amount(self) -> Decimal:
        """What the change adds to the next invoice; negative for a credit."""
        return self.after - self.before


def consequences(*, customer_ids: Iterable[int], act: Callable[[], object], now: datetime) -> list[Consequence]:
    """Do `act`, see which invoiced lines of these customers would come to another amount, and take it back.

    What was due for adjustment before is not counted as an effect. Nothing is stored.
    """
    contracts = list(
        Contract.objects.filter(customer__in=set(customer_ids), state=ContractState.ACTIVE)
        .select_related("customer").order_by("id")[:MAX_CONTRACTS]
    )  # fmt: skip
    before = _standing(contracts, now)
    with transaction.atomic():
        act()
        after = _standing(contracts, now)
        transaction.set_rollback(True)
    found = []
    for key in sorted(before.keys() | after.keys(), key=str):
        line = after.get(key) or before[key]
        contract = next(each for each in contracts if each.pk == key[0])
        wanted = [lines[key].desired if key in lines else line.billed_before for lines in (before, after)]
        if wanted[0] != wanted[1]:
            found.append(Consequence(
                contract_id=contract.pk, contract=contract.number, customer=str(contract.customer), name=line.name,
                cycle=line.cycle, currency=contract.currency, billed=line.billed_before, before=wanted[0],
                after=wanted[1],
            ))  # fmt: skip
    return found


def _standing(contracts: list[Contract], now: datetime) -> dict[tuple[int, SlotKey], SlotLine]:
    """The lines that would correct what was invoiced, by contract and slot."""
    found: dict[tuple[int, SlotKey], SlotLine] = {}
    for start in range(0, len(contracts), CHUNK):
        chunk = contracts[start : start + CHUNK]
        for delta in deltas(chunk, {contract.pk: now for contract in chunk}):
            for line in delta.slots:
                if line.corrects is not None:
                    found[delta.contract.pk, line.key] = line
    return found
