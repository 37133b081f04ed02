"""How facts about subscriptions are written: the changes, and the intervals that follow from all that stand."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import IntegrityError, transaction

from billing.catalog.changes.fold import Bound, Change, fold
from billing.catalog.changes.models import SubscriptionChange
from billing.catalog.changes.options import read_options
from billing.catalog.errors import CatalogError, Overlap, Retired
from billing.catalog.models import Subscription, SubscriptionInterval


@dataclass(slots=True)
class Projection:
    """The current intervals of a subscription that no longer follow from its changes, and those that do instead."""

    old: list[SubscriptionInterval] = field(default_factory=list)
    new: list[SubscriptionInterval] = field(default_factory=list)


def change_of(row: SubscriptionChange) -> Change:
    """A row as the rules see it."""
    return Change(row.pk, row.at, row.version_id, row.quantity, row.runs, read_options(row.options))


def standing_of(subscription_ids: Sequence[int]) -> dict[int, list[Change]]:
    """The changes of each subscription that stand; one query."""
    found: dict[int, list[Change]] = defaultdict(list)
    for row in SubscriptionChange.objects.filter(subscription__in=subscription_ids, undone_at=None):
        found[row.subscription_id].append(change_of(row))
    return found


def record(rows: Sequence[SubscriptionChange], now: datetime) -> None:
    """Insert changes of subscriptions whose customers are locked, and bring their intervals in line."""
    SubscriptionChange.objects.bulk_create(rows)
    project(list({row.subscription_id: row.subscription for row in rows}.values()), now)


def project(subscriptions: Sequence[Subscription], now: datetime) -> None:
    """Supersede and replace the intervals that no longer follow from the changes; CatalogError where that is refused.

    Constant queries.
    """
    found = projected([each.pk for each in subscriptions], now)
    names = {each.pk: each for each in subscriptions}
    old = [row.pk for each in found.values() for row in each.old]
    new = [row for each in found.values() for row in each.new]
    for row in new:
        row.subscription = names[row.subscription_id]
    try:
        with transaction.atomic():
            SubscriptionInterval.objects.filter(pk__in=old).update(superseded_at=now)
            SubscriptionInterval.objects.bulk_create(new)
    except IntegrityError as error:
        raise _refusal(error, subscriptions, new) from error


def projected(
    subscription_ids: Sequence[int], now: datetime, changes: Mapping[int, Iterable[Change]] | None = None
) -> dict[int, Projection]:
    """What is to be superseded and inserted, by subscription; nothing is written. `changes` stand for those stored."""
    facts = standing_of(subscription_ids) if changes is None else changes
    current: dict[int, list[SubscriptionInterval]] = defaultdict(list)
    rows = SubscriptionInterval.objects.filter(subscription__in=subscription_ids, superseded_at=None)
    for row in rows.order_by("subscription", "start"):
        current[row.subscription_id].append(row)
    return {pk: _projection(pk, fold(facts.get(pk, ())), current[pk], now) for pk in subscription_ids}


def _projection(pk: int, wanted: list[Bound], current: list[SubscriptionInterval], now: datetime) -> Projection:
    """A row that stays as it is is left alone."""
    kept = {_said(row): row for row in current}
    found = Projection()
    for each in wanted:
        row = SubscriptionInterval(
            subscription_id=pk, version_id=each.version, quantity=each.quantity, start=each.start, end=each.end,
            options=each.options_json(), recorded_at=now,
        )  # fmt: skip
        if kept.pop(_said(row), None) is None:
            found.new.append(row)
    found.old = list(kept.values())
    return found


def _said(row: SubscriptionInterval) -> tuple[object, ...]:
    return row.version_id, row.quantity, row.start, row.end, repr(sorted(row.options.items()))


def _refusal(
    error: IntegrityError, subscriptions: Sequence[Subscription], rows: Sequence[SubscriptionInterval]
) -> CatalogError:
    """The database's own words where a trigger of ours refused; it is the last to know."""
    text = str(error).splitlines()[0]
    if text.startswith("meter "):
        return Overlap(f"{text[0].upper()}{text[1:]}: end or change that one first.")
    if text.startswith("a retired plan version"):
        return Retired(" or ".join(sorted({str(row.version) for row in rows})))
    names = " or ".join(str(each) for each in subscriptions)
    return Overlap(f"{names} would bind two plan versions at the same time: change the interval that is in force.")
