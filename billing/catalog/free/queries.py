"""Trials and pauses as the rules take them."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from billing.catalog.free.models import SubscriptionFreeTime
from billing.catalog.terms.values import FreeTime
from billing.periods import Period


def free_times_of(contract_ids: Sequence[int]) -> dict[int, tuple[FreeTime, ...]]:
    """The trials and pauses that stand, of each contract's subscriptions; one query."""
    rows = SubscriptionFreeTime.objects.filter(subscription__contract_id__in=contract_ids, undone_at=None)
    return by_contract(rows.select_related("subscription"))


def by_contract(rows: Iterable[SubscriptionFreeTime]) -> dict[int, tuple[FreeTime, ...]]:
    """Rows that stand, as plain values by contract, in order of time."""
    found: dict[int, list[FreeTime]] = defaultdict(list)
    for row in sorted(rows, key=lambda each: (each.subscription_id, each.start)):
        kind = "trial" if row.kind == SubscriptionFreeTime.Kind.TRIAL else "pause"
        free = FreeTime(row.subscription_id, Period(row.start, row.end), kind, fees=row.fees, usage=row.usage)  # type: ignore[arg-type]
        found[row.subscription.contract_id].append(free)
    return {contract: tuple(each) for contract, each in found.items()}
