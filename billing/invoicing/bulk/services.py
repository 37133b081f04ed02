"""Ask for a bulk action, work on it, cancel it. Any number of processes may work on one at once.

A batch moves its invoices and notes what became of them in one transaction: a worker that is killed leaves it as it
was, and the next one begins it again. Nothing is done twice, whoever presses what how often.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import Exists, OuterRef

from billing.invoicing import lifecycle
from billing.invoicing.background import enqueue
from billing.invoicing.bulk.errors import BulkOver, NothingToMove
from billing.invoicing.bulk.models import BulkAction, BulkItem
from billing.invoicing.bulk.states import WORKING, BulkState, ItemState, Verb
from billing.invoicing.delivery.services import queue_deliveries
from billing.invoicing.models import Invoice
from billing.invoicing.results import BulkResult
from customers.backoffice import amount_text

BATCH: Final = 100
"""Invoices a transaction."""
SILENCE: Final = timedelta(minutes=1)
"""An action of which nothing was heard for so long is handed to the workers again."""
TASK: Final = "billing.invoicing.bulk.tasks.work"
GONE: Final = "It is gone: a later run found that nothing is to be billed."
DONE: Final = {Verb.APPROVE: "Approved", Verb.ISSUE: "Issued", Verb.SEND: "Queued to be sent"}
Clock = Callable[[], datetime]


@transaction.atomic
def request_bulk(
    *, invoice_ids: Iterable[int], verbs: Sequence[Verb], user: AbstractBaseUser | None, now: datetime,
    send_at: datetime | None = None,
) -> BulkAction:  # fmt: skip
    """Note that invoices are to make these moves; those that wait in another bulk action are left to that one.

    NothingToMove where none is left.
    """
    action = BulkAction.objects.create(
        verbs=list(verbs), requested_by_id=user.pk if user else None, requested_at=now, heard_at=now, send_at=send_at
    )
    chosen = Invoice.objects.filter(pk__in=list(invoice_ids)).order_by("pk").values_list("pk", "total")
    items = [BulkItem(action=action, invoice_id=pk, total=total) for pk, total in chosen]
    BulkItem.objects.bulk_create(items, ignore_conflicts=True)
    if not action.items.exists():
        raise NothingToMove
    for _ in range(settings.Q_CLUSTER["workers"]):
        enqueue(TASK, action.pk)
    return action


def move(
    *, invoice_ids: Sequence[int], verbs: Sequence[Verb], user: AbstractBaseUser | None, now: datetime,
    send_at: datetime | None = None,
) -> BulkResult:  # fmt: skip
    """Make these moves now, each for the invoices that made the one before."""
    ids, result, skipped, before = list(invoice_ids), BulkResult(), [], ""
    for verb in verbs:
        result = _one(verb, ids, user, now, send_at)
        skipped += [(invoice, before + why) for invoice, why in result.skipped]
        ids, before = [invoice.pk for invoice in result.done], f"{DONE[verb]}, and no further. "
    return BulkResult(done=result.done, skipped=skipped)


def _one(
    verb: Verb, ids: Sequence[int], user: AbstractBaseUser | None, now: datetime, send_at: datetime | None
) -> BulkResult:
    if verb == Verb.APPROVE:
        return lifecycle.approve(invoice_ids=ids, user=user, now=now)
    if verb == Verb.ISSUE:
        return lifecycle.issue(invoice_ids=ids, user=user, now=now)
    return queue_deliveries(invoice_ids=ids, user=user, now=now, send_at=send_at)


def work(*, action_id: int, clock: Clock, time_is_up: Callable[[], bool]) -> bool:
    """Move batch after batch; whether some are left because time is up."""
    BulkAction.objects.filter(pk=action_id, state=BulkState.QUEUED).update(state=BulkState.RUNNING)
    while _batch(action_id, clock()):
        if time_is_up():
            break
    return not _finish(action_id, clock()) and time_is_up()


def cancel(*, action_id: int, user: AbstractBaseUser | None, now: datetime) -> None:
    """Let what waits wait no longer; what is done stands. BulkOver where nothing waits."""
    with transaction.atomic():
        action = BulkAction.objects.select_for_update().get(pk=action_id)
        if action.state not in WORKING:
            raise BulkOver(action)
        by = user.get_username() if user else "a command"
        waiting = action.items.filter(state=ItemState.WAITING)
        waiting.update(state=ItemState.SKIPPED, reason=f"Cancelled by {by} before its turn.")
        BulkAction.objects.filter(pk=action_id).update(state=BulkState.CANCELLED, finished_at=now)


def silent(*, now: datetime) -> list[int]:
    """Actions that wait for a worker and of which nothing was heard for a while."""
    found = BulkAction.objects.filter(state__in=WORKING, heard_at__lt=now - SILENCE)
    return list(found.order_by("pk").values_list("pk", flat=True))


def _batch(action_id: int, now: datetime) -> bool:
    """Move the next invoices that nobody else has in hand; whether there were any."""
    with transaction.atomic():
        action = BulkAction.objects.select_related("requested_by").get(pk=action_id)
        waiting = action.items.filter(state=ItemState.WAITING).order_by("id")
        items = list(waiting.select_for_update(skip_locked=True)[:BATCH])
        reasons = _move(items, action, now)
        for item in items:
            item.reason = reasons.get(item.invoice_id, GONE)
            item.state = ItemState.SKIPPED if item.reason else ItemState.DONE
        BulkItem.objects.bulk_update(items, ["state", "reason"])
        if items:
            BulkAction.objects.filter(pk=action_id).update(heard_at=now)
    return bool(items)


def _move(items: Sequence[BulkItem], action: BulkAction, now: datetime) -> dict[int | None, str]:
    """Why an invoice was skipped, or nothing where it was moved; one that is not in it is gone.

    What was chosen is moved as it was seen: a draft that a run has changed since is left for another look.
    """
    there = lifecycle.locked(invoice_ids=[each.invoice_id for each in items if each.invoice_id])
    found = {each.pk: each for each in there}
    reasons: dict[int | None, str] = {}
    for item in items:
        invoice = found.get(item.invoice_id or 0)
        if invoice is not None:
            shown, now_is = (amount_text(total, invoice.currency) for total in (item.total, invoice.total))
            reasons[invoice.pk] = "" if shown == now_is else f"It was {shown} when it was chosen and is {now_is} now."
    ids = [pk for pk, reason in reasons.items() if pk and not reason]
    verbs = [Verb(each) for each in action.verbs]
    result = move(invoice_ids=ids, verbs=verbs, user=action.requested_by, now=now, send_at=action.send_at)
    if result.done and action.requested_by_id:
        LogEntry.objects.log_actions(
            user_id=action.requested_by_id, queryset=result.done, action_flag=CHANGE,
            change_message=f"{' and '.join(DONE[verb].lower() for verb in verbs).capitalize()}.",
        )  # fmt: skip
    return reasons | {invoice.pk: reason for invoice, reason in result.skipped}


def _finish(action_id: int, now: datetime) -> bool:
    """End an action none of whose invoices waits; whether it has ended."""
    waiting = BulkItem.objects.filter(action=OuterRef("pk"), state=ItemState.WAITING)
    over = BulkAction.objects.filter(~Exists(waiting), pk=action_id, state=BulkState.RUNNING)
    over.update(state=BulkState.DONE, finished_at=now)
    return not BulkAction.objects.filter(pk=action_id, state__in=WORKING).exists()
