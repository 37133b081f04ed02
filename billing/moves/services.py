"""The verbs of moves: draft one, compute it again, schedule it, cancel it or a part of it, discard it.

What takes long is done by the worker, in chunks; each is a transaction that holds the move's row, so that two workers
take turns and a killed one leaves whole chunks only. Whoever goes on finds in the move how far it is.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import Max, Min, Q

from billing.catalog.models import PlanVersion
from billing.catalog.states import is_open
from billing.moves import chunks
from billing.moves.choosing import candidates
from billing.moves.criteria import Criteria
from billing.moves.errors import CriteriaError, MoveError
from billing.moves.models import Move, MovedSubscription
from billing.moves.states import MoveState, Outcome, Work

Queue = Callable[[int], None]
SILENCE: Final = timedelta(minutes=3)
"""How long a worker may be silent before its work is queued again."""


def draft(*, token: UUID, target: PlanVersion, criteria: Criteria, user: Any, queue: Queue, now: datetime) -> Move:
    """A move to be looked at: nobody is moved by it. The same token gives the move that it made.

    CriteriaError when nobody meets the criteria or they name another product's versions; MoveError for a version that
    takes no subscribers.
    """
    with transaction.atomic():
        there = Move.objects.filter(token=token).first()
        if there:
            return there
        _check_target(target)
        versions = PlanVersion.objects.filter(pk__in=criteria.versions, plan__product=target.plan.product_id)
        if versions.count() != len(criteria.versions) or target.pk in criteria.versions:
            raise CriteriaError("versions", f"Choose versions of {target.plan.product}, other than {target} itself.")
        total = candidates(target, criteria, now).count()
        if not total:
            raise CriteriaError("versions", "Nobody meets this choice: widen it.")
        move, made = Move.objects.get_or_create(token=token, defaults={
            "target": target, "choice": criteria.to_json(), "as_of": now, "total": total, "created_at": now,
            "created_by": user, "worked_at": now,
        })  # fmt: skip
        if made:
            queue(move.pk)
    return move


def compute_again(*, move: Move, queue: Queue, now: datetime) -> None:
    """Forget the preview of a draft and compute it anew, from the facts of today."""
    with transaction.atomic():
        move = _held(move.pk)
        if move.state != MoveState.DRAFT:
            raise MoveError(f"{move} is {move.get_state_display().lower()}: its preview is kept as it was.")
        MovedSubscription.objects.filter(move=move).delete()
        criteria = Criteria.from_json(move.choice)
        _begin(move, Work.PREVIEW, candidates(move.target, criteria, move.as_of).count(), queue, now)


def schedule(*, move: Move, reason: str, user: Any, queue: Queue, now: datetime) -> bool:
    """Write the dates of everybody who can be moved, by the worker. False when the move is scheduled already.

    MoveError while the preview is computed, without a reason, when nobody can be moved, or when the version takes no
    subscribers any more.
    """
    if not reason.strip():
        raise MoveError("Say why they are moved: the reason is kept with the move.")
    with transaction.atomic():
        move = _held(move.pk)
        if move.state == MoveState.SCHEDULED:
            return False
        if move.state != MoveState.DRAFT:
            raise MoveError(f"{move} is cancelled: make a new one.")
        if move.work or move.failure:
            raise MoveError("The preview is not complete: wait for it, or compute it again.")
        _check_target(move.target)
        planned = move.rows.filter(outcome=Outcome.PLANNED).count()
        if not planned:
            raise MoveError("Nobody can be moved: see below why each is left out.")
        move.state, move.reason, move.scheduled_at, move.scheduled_by = MoveState.SCHEDULED, reason.strip(), now, user
        _begin(move, Work.SCHEDULE, planned, queue, now)
    return True


def cancel(*, move: Move, reason: str, user: Any, queue: Queue, now: datetime) -> bool:
    """Take back what has not taken effect, by the worker; also while it is being scheduled. False when that is done.

    MoveError when it took effect for everybody: that is undone by another move.
    """
    if not reason.strip():
        raise MoveError("Say why the move is cancelled: the reason is kept with it.")
    with transaction.atomic():
        move = _held(move.pk)
        if move.state == MoveState.CANCELLED or move.work == Work.CANCEL:
            return False
        if move.state == MoveState.DRAFT:
            raise MoveError(f"{move} is a draft: discard it instead.")
        ahead = _ahead(move, now).count()
        if not ahead:
            raise MoveError(_too_late(move))
        move.cancel_reason, move.cancelled_by, move.cancelled_at = reason.strip(), user, now
        _begin(move, Work.CANCEL, ahead, queue, now)
    return True


def cancel_one(*, row: MovedSubscription, user: Any, now: datetime) -> str:
    """Take one subscription back out of a scheduled move, at once; what came of it, in a sentence.

    MoveError when it took effect, or is not scheduled.
    """
    with transaction.atomic():
        move = _held(row.move_id)
        if move.work:
            raise MoveError(f"{move} is at work: wait until that is done.")
        row = chunks.held_rows(move).get(pk=row.pk)
        if row.outcome != Outcome.SCHEDULED:
            raise MoveError(f"{row.subscription} is {row.get_outcome_display().lower()} in this move.")
        if row.at is not None and row.at <= now:
            raise MoveError(_too_late(move))
        move.cancelled_by = user  # who ends what, as own terms that go on again say
        chunks.take_back(move, [row], now)
        settle(move=move, user=user, now=now)
        move.save()
    return row.note or "Its terms are what they were."


def discard(*, move: Move) -> None:
    """Delete a draft."""
    with transaction.atomic():
        move = _held(move.pk)
        if move.state != MoveState.DRAFT:
            raise MoveError(f"{move} is {move.get_state_display().lower()}: cancel it instead.")
        move.delete()


def go_on(*, move: Move, queue: Queue, now: datetime) -> None:
    """Take up work that stopped at a failure."""
    with transaction.atomic():
        move = _held(move.pk)
        if move.work:
            move.failure, move.worked_at = "", now
            move.save()
            queue(move.pk)


def step(*, move_id: int, now: datetime) -> bool:
    """Do the next chunk of a move's work; False when there is none left. Exactly one worker is in it at a time."""
    acts = {Work.PREVIEW: chunks.preview, Work.SCHEDULE: chunks.schedule, Work.CANCEL: chunks.cancel}
    with transaction.atomic():
        move = Move.objects.select_for_update(of=("self",)).select_related("target__plan").filter(pk=move_id).first()
        if move is None or not move.work:
            return False
        more = acts[Work(move.work)](move, now)
        move.worked_at, move.failure = now, ""
        if not more:
            if move.work == Work.PREVIEW:
                move.unmatched = chunks.unmatched(move)
            move.work = Work.REST
            settle(move=move, user=move.cancelled_by, now=now)
        move.save()
    return more


def settle(*, move: Move, user: Any, now: datetime) -> None:
    """Say from which days a move holds; cancelled when none of it is left. The caller saves it."""
    dates = move.rows.filter(outcome=Outcome.SCHEDULED).aggregate(first=Min("at"), last=Max("at"))
    move.first_at, move.last_at = dates["first"], dates["last"]
    gone = move.rows.filter(outcome=Outcome.CANCELLED).exists()
    if move.state == MoveState.SCHEDULED and move.first_at is None and gone:
        move.state, move.cancelled_at, move.cancelled_by = MoveState.CANCELLED, move.cancelled_at or now, user


def note_failure(*, move_id: int, message: str) -> None:
    """Keep why the work stopped: the page says it, and asks whether to go on."""
    Move.objects.filter(pk=move_id).exclude(work=Work.REST).update(failure=message)


def queue_silent(*, queue: Queue, now: datetime) -> int:
    """Queue the moves whose worker was not heard of for a while; how many."""
    silent = Move.objects.filter(~Q(work=Work.REST), failure="", worked_at__lt=now - SILENCE)
    found = list(silent.values_list("pk", flat=True))
    for pk in found:
        queue(pk)
    return len(found)


def _held(pk: int) -> Move:
    """The move, locked until the transaction ends."""
    found = Move.objects.select_for_update(of=("self",)).select_related("target__plan__product").filter(pk=pk).first()
    if found is None:
        raise MoveError("This move was discarded.")
    return found


def _check_target(target: PlanVersion) -> None:
    fresh = PlanVersion.objects.select_for_update(of=("self",)).get(pk=target.pk)
    if not is_open(fresh.state):
        raise MoveError(f"{target} is {fresh.get_state_display().lower()}: customers are moved to a published version.")


def _ahead(move: Move, now: datetime) -> Any:
    """What can still be taken back."""
    return move.rows.filter(Q(outcome=Outcome.PLANNED) | Q(outcome=Outcome.SCHEDULED, at__gt=now))


def _too_late(move: Move) -> str:
    return f"It has taken effect and stands: to undo it, move the subscribers of {move.target} back to their version."


def _begin(move: Move, work: Work, total: int, queue: Queue, now: datetime) -> None:
    move.work, move.position, move.done, move.total, move.worked_at, move.failure = work, 0, 0, total, now, ""
    move.save()
    queue(move.pk)
