"""Trials and pauses as the rules take them."""

from collections import defaultdict
from collections.abc import Sequence

from billing.catalog.free.models import SubscriptionFreeTime
from billing.catalog.terms.values import FreeTime
from billing.periods import Period
from customers.knowledge import in_force


def free_times_of(contract_ids: Sequence[int]) -> dict[int, tuple[FreeTime, ...]]:
    """The trials and pauses that stand, of each contract's subscriptions, in order of time; one query."""
    rows = SubscriptionFreeTime.objects.filter(subscription__contract__among=contract_ids)
    rows_in_force = in_force(rows.select_related("subscription"), "undone_at")
    found: dict[int, list[FreeTime]] = defaultdict(list)
    for row in sorted(rows_in_force, key=lambda each: (each.subscription_id, each.start)):
        kind = "trial" if row.kind == SubscriptionFreeTime.Kind.TRIAL else "pause"
        free = FreeTime(row.subscription_id, Period(row.start, row.end), kind, fees=row.fees, usage=row.usage)  # type: ignore[arg-type]
        found[row.subscription.contract_id].append(free)
    return {contract: tuple(each) for contract, each in found.items()}
