"""Intervals and own terms that moves write: a chunk's rows superseded by one statement, others inserted by another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from django.db import IntegrityError, connection, transaction

from billing.catalog.models import SubscriptionInterval
from billing.catalog.terms.models import SubscriptionTerm
from billing.moves.models import MovedSubscription
from billing.moves.splicing import Splice


@dataclass(slots=True)
class Change:
    """The intervals of one subscription that make way and those that take their place; likewise its own terms."""

    row: MovedSubscription
    old: list[SubscriptionInterval]
    new: list[SubscriptionInterval]
    old_terms: list[SubscriptionTerm] = field(default_factory=list)
    new_terms: list[SubscriptionTerm] = field(default_factory=list)


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


def end_terms(change: Change, own: Sequence[SubscriptionTerm], at: datetime, now: datetime) -> None:
    """Let the customer's own terms end at an instant; what is left of each until then stays."""
    change.old_terms = [term for term in own if term.end is None or term.end > at]
    change.new_terms = [
        _copy(term, now, end=at, replaces_id=term.pk, periods=None) for term in change.old_terms if term.start < at
    ]  # fmt: skip


def revive_terms(change: Change, own: Sequence[SubscriptionTerm], were: Sequence[SubscriptionTerm],
                 now: datetime) -> bool:  # fmt: skip
    """Let own terms that a move ended go on as they were; False where one was changed since, and all are left alone."""
    left = [term for term in own if term.pk in change.row.new_terms]
    if len(left) < len(change.row.new_terms):
        return False
    change.old_terms, change.new_terms = left, [_copy(term, now, replaces_id=term.pk) for term in were]
    return True


def write(changes: Sequence[Change], now: datetime, *, user_id: int | None, reason: str) -> dict[int, str]:
    """Write a chunk at once; where the database refuses, each alone. Sentences of the refused, by the row's id."""
    stamp = {"superseded_at": now, "superseded_by": user_id, "superseded_reason": reason[:300]}
    try:
        with transaction.atomic():
            _write(changes, stamp)
        return {}
    except IntegrityError:
        refused: dict[int, str] = {}
        for each in changes:
            try:
                with transaction.atomic():
                    _write([each], stamp)
            except IntegrityError as error:
                refused[each.row.pk] = _sentence(error)
        return refused


def _write(changes: Sequence[Change], stamp: Mapping[str, Any]) -> None:
    old = [each.pk for change in changes for each in change.old]
    SubscriptionInterval.objects.filter(pk__in=old, superseded_at=None).update(superseded_at=stamp["superseded_at"])
    SubscriptionInterval.objects.bulk_create(_unsaved([each for change in changes for each in change.new]))
    terms = [each.pk for change in changes for each in change.old_terms]
    fresh = [each for change in changes for each in change.new_terms]
    if terms or fresh:
        SubscriptionTerm.objects.filter(pk__in=terms, superseded_at=None).update(**stamp)
        SubscriptionTerm.objects.bulk_create(_unsaved(fresh))
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # what is deferred refuses now, while it can be told whom
            cursor.execute("SET CONSTRAINTS ALL DEFERRED")


Made = TypeVar("Made", SubscriptionInterval, SubscriptionTerm)


def _unsaved(rows: list[Made]) -> list[Made]:
    """The rows, without the keys that an attempt gave them which the database refused."""
    for each in rows:
        each.pk = None
    return rows


def _copy(row: Made, now: datetime, **changes: object) -> Made:
    """A new current row like another."""
    kept = {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}
    fresh: dict[str, Any] = {"id": None, "recorded_at": now, "superseded_at": None}
    if isinstance(row, SubscriptionTerm):
        fresh |= {"superseded_by_id": None, "superseded_reason": ""}
    return type(row)(**kept | fresh | changes)


def _sentence(error: IntegrityError) -> str:
    """The database's own words where a trigger of ours refused; it is the last to know."""
    text = str(error).splitlines()[0]
    if "violates" in text:
        return "Its intervals would overlap: look at its contract, and change the interval that is in the way."
    return f"{text[0].upper()}{text[1:]}."
