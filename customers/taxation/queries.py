"""Which facts about tax are in force on a day: now, or as they were known (`customers.knowledge`)."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import date
from typing import TypeVar

from customers.knowledge import in_force
from customers.taxation.facts import TaxFact
from customers.taxation.models import TaxSetup, TaxTreatment

Fact = TypeVar("Fact", bound=TaxFact)


def last_of(facts: Sequence[Fact], day: date) -> Fact | None:
    """The one that is in force on a day, of facts about one thing in the order of their start."""
    begun = [fact for fact in facts if fact.start <= day]
    return begun[-1] if begun else None


def setups_of(entity_ids: Collection[int]) -> dict[int, list[TaxSetup]]:
    """How each entity taxes, by its id, in the order of their start; one query."""
    found: dict[int, list[TaxSetup]] = defaultdict(list)
    for fact in sorted(in_force(TaxSetup.objects.filter(entity__in=entity_ids), "undone_at"), key=_order):
        found[fact.entity_id].append(fact)
    return found


class Treatments:
    """How customers are taxed: what is said for one seller goes before what is said for all."""

    def __init__(self, customer_ids: Collection[int]) -> None:
        """Read what is said of these customers; one query."""
        self.facts: dict[tuple[int, int | None], list[TaxTreatment]] = defaultdict(list)
        rows = TaxTreatment.objects.filter(customer__among=customer_ids)
        for fact in sorted(in_force(rows, "undone_at"), key=_order):
            self.facts[fact.customer_id, fact.entity_id].append(fact)

    def on(self, customer_id: int, entity_id: int, day: date) -> TaxTreatment | None:
        """What is in force for a customer and a seller on a day; None for the standard."""
        own = last_of(self.facts.get((customer_id, entity_id), ()), day)
        return own or last_of(self.facts.get((customer_id, None), ()), day)


def _order(fact: TaxFact) -> tuple[date, int]:
    return fact.start, fact.pk
