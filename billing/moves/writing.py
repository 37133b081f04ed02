"""Intervals that moves write: a chunk's rows superseded by one statement, their replacements inserted by another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import IntegrityError, transaction

from billing.catalog.models import SubscriptionInterval
from billing.moves.models import MovedSubscription
from billing.moves.splicing import Splice


@dataclass(slots=True)
class Change:
    """The intervals of one subscription that make way, and those that take their place."""

    row: MovedSubscription
    old: list[SubscriptionInterval]
    new: list[SubscriptionInterval]


def change_of(
    row: MovedSubscription, splice: Splice, intervals: Mapping[int, SubscriptionInterval], now: datetime
) -> Change:
    """A splice as rows of the database; what a row does not change it keeps."""
    fresh = [
        _copy(intervals[like.id], now, version_id=made.version, start=made.start, end=made.end)
        for made, like in splice.new
    ]
    return Change(row, [intervals[each.id] for each in splice.old], fresh)


def restoring(row: MovedSubscription, current: Sequence[SubscriptionInterval], was: Sequence[SubscriptionInterval],
              now: datetime) -> Change:  # fmt: skip
    """The very rows that stood before, again."""
    return Change(row, list(current), [_copy(each, now) for each in was])


def write(changes: Sequence[Change], now: datetime) -> dict[int, str]:
    """Write a chunk at once; where the database refuses, each alone. Sentences of the refused, by the row's id."""
    try:
        with transaction.atomic():
            _write(changes, now)
        return {}
    except IntegrityError:
        refused: dict[int, str] = {}
        for each in changes:
            try:
                with transaction.atomic():
                    _write([each], now)
            except IntegrityError as error:
                refused[each.row.pk] = _sentence(error)
        return refused


def _write(changes: Sequence[Change], now: datetime) -> None:
    old = [each.pk for change in changes for each in change.old]
    SubscriptionInterval.objects.filter(pk__in=old, superseded_at=None).update(superseded_at=now)
    for change in changes:
        for each in change.new:
            each.pk = None  # a row that was refused within a chunk is tried again
    SubscriptionInterval.objects.bulk_create([each for change in changes for each in change.new])


def _copy(interval: SubscriptionInterval, now: datetime, **changes: object) -> SubscriptionInterval:
    """A new row like another."""
    kept = {field.attname: getattr(interval, field.attname) for field in SubscriptionInterval._meta.concrete_fields}
    return SubscriptionInterval(**kept | {"id": None, "recorded_at": now, "superseded_at": None} | changes)


def _sentence(error: IntegrityError) -> str:
    """The database's own words where a trigger of ours refused; it is the last to know."""
    text = str(error).splitlines()[0]
    if "violates" in text:
        return "Its intervals would overlap: look at its contract, and change the interval that is in the way."
    return f"{text[0].upper()}{text[1:]}."
