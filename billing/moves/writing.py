"""Intervals and own terms that moves write: a chunk's rows superseded by one statement, others inserted by another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar, cast

from django.db import IntegrityError, connection, transaction

from billing.catalog.changes.fold import Change as Fact
from billing.catalog.changes.models import SubscriptionChange
from billing.catalog.changes.writing import projected, standing_of
from billing.catalog.models import SubscriptionInterval
from billing.catalog.terms.models import SubscriptionTerm
from billing.moves.models import MovedSubscription


@dataclass(slots=True)
class Change:
    """The intervals of one subscription that make way and those that take their place; likewise its own terms.

    They follow from the `fact` that is recorded, or from the one of the id `undone` that is taken back.
    """

    row: MovedSubscription
    old: list[SubscriptionInterval]
    new: list[SubscriptionInterval]
    old_terms: list[SubscriptionTerm] = field(default_factory=list)
    new_terms: list[SubscriptionTerm] = field(default_factory=list)
    fact: SubscriptionChange | None = None
    undone: int | None = None


def recording(
    rows: Sequence[MovedSubscription], version_id: int, now: datetime, *, user_id: int | None, reason: str
) -> list[Change]:
    """What binds each row's subscription to a version from the row's time on. Two queries."""
    ids = [row.subscription_id for row in rows]
    facts = standing_of(ids)
    last = max((each.number for group in facts.values() for each in group), default=0)
    for row in rows:
        assert row.at is not None  # a row that is scheduled has its time
        facts.setdefault(row.subscription_id, []).append(Fact(last + 1, row.at, version_id))
    found = projected(ids, now, facts)
    return [
        Change(
            row, found[row.subscription_id].old, found[row.subscription_id].new,
            fact=SubscriptionChange(
                subscription_id=row.subscription_id, at=cast(datetime, row.at), version_id=version_id,
                reason=reason[:300], recorded_at=now, recorded_by_id=user_id,
            ),
        )
        for row in rows
    ]  # fmt: skip


def taking_back(rows: Sequence[MovedSubscription], version_id: int, now: datetime) -> dict[int, Change]:
    """What lets stand what stood before, by the row's id; rows whose fact was undone have none. Two queries."""
    ids = [row.subscription_id for row in rows]
    facts = standing_of(ids)
    gone: dict[int, int] = {}
    for row in rows:
        mine = facts.get(row.subscription_id, [])
        made = [each for each in mine if (each.at, each.version) == (row.at, version_id) and each.runs is None]
        if made:
            gone[row.pk] = max(each.number for each in made)
            facts[row.subscription_id] = [each for each in mine if each.number != gone[row.pk]]
    found = projected(ids, now, facts)
    return {
        row.pk: Change(row, found[row.subscription_id].old, found[row.subscription_id].new, undone=gone[row.pk])
        for row in rows if row.pk in gone
    }  # fmt: skip


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
    SubscriptionChange.objects.bulk_create(_unsaved([each.fact for each in changes if each.fact]))
    undone = [each.undone for each in changes if each.undone]
    if undone:
        why = {"undone_at": stamp["superseded_at"], "undone_by": stamp["superseded_by"]}
        SubscriptionChange.objects.filter(pk__in=undone, undone_at=None).update(
            **why, undone_reason=stamp["superseded_reason"]
        )
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


Made = TypeVar("Made", SubscriptionInterval, SubscriptionTerm, SubscriptionChange)


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
