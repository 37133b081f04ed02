"""Revenue as target − posted = delta, by obligation and service month (R7.1, docs/books.md).

Targets come from facts known now: the schedule of a fee, by day; for usage, what each slot is worth on the events up
to a month's end less what it was worth at the end before. What stands posted is the last revision of `Recognition`.
Nothing here posts.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from django.db import connection
from django.db.models import Min

from billing.catalog.models import SubscriptionInterval
from billing.invoicing.accrual import Accrued, accrued_usage
from billing.invoicing.errors import InvoicingError
from billing.invoicing.facts import terms_of
from billing.periods import Period, local_date
from customers.models import Contract, LegalEntity
from revenue.ledger import periods
from revenue.ledger.models import JournalEntry, Obligation, Recognition

Event = JournalEntry.Event
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Delta:
    """What is to post for an obligation in a service month. `slot` where the obligation has yet to be made."""

    entity_id: int
    contract_id: int
    customer_id: int
    currency: str
    event: Event
    month: date
    posted_before: Decimal
    target: Decimal
    revision: int
    obligation_id: int | None
    slot: Accrued | None = None

    @property
    def amount(self) -> Decimal:
        """The revenue that this posts, in the contract's currency; negative takes revenue back."""
        return self.target - self.posted_before


@dataclass(frozen=True, slots=True)
class _Posted:
    """The last revision of an obligation's month, and whose it is."""

    obligation_id: int
    contract_id: int
    customer_id: int
    entity_id: int
    currency: str
    revision: int
    target: Decimal


def deltas(*, through: date, entities: Collection[LegalEntity]) -> list[Delta]:
    """What is to post for the service months up to that of `through`, in the books of these entities.

    In the order of posting: entity, month, contract, event, obligation. Empty when all stands as it should.
    """
    month = periods.month_of(through)
    found = [*_of_fees(month, [entity.pk for entity in entities]), *_of_usage(month, entities)]
    found.sort(
        key=lambda delta: (
            delta.entity_id,
            delta.month,
            delta.contract_id,
            delta.event,
            delta.obligation_id or 0,
            delta.slot.slot_id if delta.slot else 0,
        )
    )
    return found


def _of_fees(through: date, entity_ids: Collection[int]) -> Iterator[Delta]:
    """Schedule lines that are not posted as they stand, and posted months that no schedule plans any more."""
    sql = """
        WITH planned AS (
            SELECT s.obligation_id, s.month, s.amount FROM revenue_scheduleline s WHERE s.month <= %(through)s
        ), posted AS (
            SELECT DISTINCT ON (r.obligation_id, r.month) r.obligation_id, r.month, r.target, r.revision
            FROM revenue_recognition r JOIN revenue_obligation o ON o.id = r.obligation_id AND o.kind = 'series_time'
            WHERE r.month <= %(through)s ORDER BY r.obligation_id, r.month, r.revision DESC
        )
        SELECT o.entity_id, o.contract_id, k.customer_id, o.currency, month, coalesce(posted.target, 0),
               coalesce(planned.amount, 0), coalesce(posted.revision, 0) + 1, o.id
        FROM planned FULL JOIN posted USING (obligation_id, month)
        JOIN revenue_obligation o ON o.id = obligation_id JOIN customers_contract k ON k.id = o.contract_id
        WHERE coalesce(planned.amount, 0) <> coalesce(posted.target, 0) AND o.entity_id = ANY(%(entities)s)
    """
    with connection.cursor() as cursor:
        cursor.execute(sql, {"through": through, "entities": list(entity_ids)})
        for entity, contract, customer, currency, month, before, target, revision, obligation in cursor:
            yield Delta(
                entity, contract, customer, currency, Event.SERVICE_DELIVERED, month, before, target, revision,
                obligation,
            )  # fmt: skip


def _of_usage(through: date, entities: Collection[LegalEntity]) -> Iterator[Delta]:
    """Usage rated up to each month's end less what was posted; also what was posted for usage that is gone."""
    posted = _posted_usage(through, [entity.pk for entity in entities])
    known = _obligations_of_slots([entity.pk for entity in entities])
    untold: set[int] = set()
    for slot, month, target in _usage_targets(through, entities, untold):
        stands = posted.pop((slot.slot_id, month), None)
        before, revision = (stands.target, stands.revision) if stands else (ZERO, 0)
        if target != before:
            yield Delta(
                slot.entity_id, slot.contract_id, slot.customer_id, slot.currency, Event.USAGE_RATED, month, before,
                target, revision + 1, known.get(slot.slot_id), slot,
            )  # fmt: skip
    gone_for = _readable({stands.contract_id for stands in posted.values() if stands.target}) - untold
    for (_, month), gone in posted.items():
        if gone.target and gone.contract_id in gone_for:
            yield Delta(
                gone.entity_id, gone.contract_id, gone.customer_id, gone.currency, Event.USAGE_RATED, month,
                gone.target, ZERO, gone.revision + 1, gone.obligation_id,
            )  # fmt: skip


def _readable(contract_ids: Collection[int]) -> set[int]:
    """Those whose terms can be read. The others accrue nothing because nobody can tell, not because usage is gone."""
    terms = terms_of(list(Contract.objects.filter(pk__in=contract_ids))) if contract_ids else {}
    return {contract for contract, found in terms.items() if not isinstance(found, InvoicingError)}


def _usage_targets(
    through: date, entities: Collection[LegalEntity], untold: set[int]
) -> Iterator[tuple[Accrued, date, Decimal]]:
    """The usage revenue of each slot in each service month, closed months too: late usage belongs where it was used.

    One reading of usage for all months together; contracts whose usage cannot be told are added to `untold`. Months
    are cut in each entity's zone (R7.5).
    """
    worth: dict[int, Decimal] = {}
    first = _first_months(entities)
    months = periods.months(min(first.values(), default=periods.next_month(through)), through)
    windows = [
        {
            entity.pk: Period(periods.start_of(month, entity), periods.end_of(month, entity))
            for entity in entities
            if entity.pk in first and first[entity.pk] <= month
        }
        for month in months
    ]
    for place, slot in accrued_usage(windows=windows, untold=untold):
        target = slot.value - worth.get(slot.slot_id, ZERO)
        if target:
            yield slot, months[place], target
        worth[slot.slot_id] = slot.value


def _first_months(entities: Collection[LegalEntity]) -> dict[int, date]:
    """The month in which the first subscription of each entity's contracts starts; none before it can have usage."""
    zones = {entity.pk: entity.timezone for entity in entities}
    starts = SubscriptionInterval.objects.filter(subscription__contract__entity__in=zones).order_by()
    firsts = starts.values_list("subscription__contract__entity").annotate(first=Min("start"))
    return {entity: periods.month_of(local_date(first, zones[entity])) for entity, first in firsts}


def _posted_usage(through: date, entity_ids: Collection[int]) -> dict[tuple[int, date], _Posted]:
    """What stands posted for usage, by (slot, service month)."""
    last = (
        Recognition.objects.filter(
            month__lte=through, obligation__kind=Obligation.Kind.USAGE, obligation__entity__in=entity_ids
        )
        .order_by("obligation", "month", "-revision")
        .distinct("obligation", "month")
    )
    rows = last.values_list(
        "obligation__slot", "month", "obligation", "obligation__contract", "obligation__contract__customer",
        "obligation__entity", "obligation__currency", "revision", "target",
    )  # fmt: skip
    return {
        (slot, month): _Posted(obligation, contract, customer, entity, currency, revision, target)
        for slot, month, obligation, contract, customer, entity, currency, revision, target in rows
        if slot is not None  # never: an obligation of usage is of a slot
    }


def _obligations_of_slots(entity_ids: Collection[int]) -> dict[int, int]:
    """The obligations of usage that exist, by slot."""
    existing = Obligation.objects.filter(kind=Obligation.Kind.USAGE, entity__in=entity_ids)
    return dict(existing.values_list("slot", "pk"))
