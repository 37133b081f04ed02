"""Reads of customers that join or compare."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime

from django.db.models import Q, QuerySet

from customers.models import Contract, Payer, UsageSubject


def claims_on(*, subject: str, valid_from: datetime | None, valid_to: datetime | None) -> QuerySet[UsageSubject]:
    """Claims on a subject that overlap `[valid_from, valid_to)` (aware, None is open), with their customers."""
    overlap = Q(subject=subject)
    if valid_to is not None:
        overlap &= Q(valid_from__isnull=True) | Q(valid_from__lt=valid_to)
    if valid_from is not None:
        overlap &= Q(valid_to__isnull=True) | Q(valid_to__gt=valid_from)
    return UsageSubject.objects.filter(overlap).select_related("customer")


@dataclass(frozen=True, slots=True)
class Payers:
    """Who pays for a contract, by first day of service: its own facts before its customer's before the customer."""

    customer_id: int
    of_contract: tuple[tuple[date, int], ...] = ()
    of_customer: tuple[tuple[date, int], ...] = ()

    @property
    def change(self) -> bool:
        """Whether somebody else pays at any time."""
        return bool(self.of_contract or self.of_customer)

    @property
    def everyone(self) -> set[int]:
        """Whoever pays at any time."""
        return {self.customer_id, *(payer for _, payer in (*self.of_contract, *self.of_customer))}

    def on(self, day: date) -> int:
        """The id of the customer that pays for service that begins on a day in the contract's zone."""
        for facts in (self.of_contract, self.of_customer):
            begun = [payer for start, payer in facts if start <= day]
            if begun:
                return begun[-1]
        return self.customer_id


def payers_of(contracts: Collection[Contract]) -> dict[int, Payers]:
    """Who pays for each contract, by its id; one query."""
    of_contract: dict[int | None, list[tuple[date, int]]] = defaultdict(list)
    of_customer: dict[int, list[tuple[date, int]]] = defaultdict(list)
    facts = Payer.objects.filter(customer__among={each.customer_id for each in contracts}, undone_at=None)
    for contract, customer, start, payer in facts.order_by("start").values_list(
        "contract", "customer", "start", "payer"
    ):
        (of_customer[customer] if contract is None else of_contract[contract]).append((start, payer))
    return {
        each.pk: Payers(each.customer_id, tuple(of_contract[each.pk]), tuple(of_customer[each.customer_id]))
        for each in contracts
    }


def everyone_concerned(contract_ids: Iterable[int]) -> set[int]:
    """The customers of contracts and whoever pays or ever was to pay for them: whose locks a run holds. Two queries."""
    customers = set(Contract.objects.filter(pk__among=contract_ids).values_list("customer_id", flat=True))
    return customers | set(Payer.objects.filter(customer__among=customers).values_list("payer_id", flat=True))
