"""The verbs of holds: note what a run found, and release."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from billing.invoicing.holds.errors import HoldError
from billing.invoicing.holds.found import Held
from billing.invoicing.holds.models import Hold
from billing.invoicing.holds.queries import open_holds
from billing.invoicing.models import BillingRun
from customers.locks import lock_customers

SEEN = ["sentence", "detail", "covers", "releasable", "amount", "last_run", "last_seen_at"]


def note(*, contract_ids: Sequence[int], found: Iterable[Held], run: BillingRun | None, now: datetime) -> None:
    """Bring the holds of contracts to what a run found: begin, renew and end them; four queries at most.

    A contract that only waits for another one has no hold of its own. The caller holds the customers' locks.
    """
    there = {(each.contract_id, each.code): each for each in open_holds(contract_ids)}
    fresh: list[Hold] = []
    renewed: list[Hold] = []
    for held in found:
        if held.code == "sibling":
            continue
        hold = there.pop((held.contract_id, held.code), None)
        target = fresh if hold is None else renewed
        hold = hold or Hold(contract_id=held.contract_id, code=held.code, first_run=run, first_seen_at=now)
        hold.sentence, hold.detail, hold.covers = held.sentence, list(held.detail), held.covers
        hold.releasable, hold.amount = held.releasable, held.amount
        hold.last_run, hold.last_seen_at = run, now
        target.append(hold)
    if there:
        Hold.objects.filter(pk__in=[each.pk for each in there.values()]).update(ended_at=now)
    if renewed:
        Hold.objects.bulk_update(renewed, SEEN)
    if fresh:
        Hold.objects.bulk_create(fresh)


def release(*, hold_id: int, user: AbstractBaseUser | None, reason: str, now: datetime) -> Hold:
    """Let pass what a hold is about, and nothing that comes after it. HoldError where that cannot be.

    The next run drafts the contract. Opens its own transaction.
    """
    if not reason.strip():
        raise HoldError("Say why it is released: the reason is kept with the hold.")
    with transaction.atomic():
        lock_customers([Hold.objects.values_list("contract__customer", flat=True).get(pk=hold_id)])
        hold = Hold.objects.select_for_update(of=("self",)).select_related("contract__customer").get(pk=hold_id)
        if hold.released_at is not None:
            raise HoldError(f"{str(hold).capitalize()} was released already: nothing needs to be done.")
        if hold.ended_at is not None:
            raise HoldError(f"{str(hold).capitalize()} has ended: its reason is gone.")
        if not hold.releasable:
            raise HoldError(f"This hold cannot be released, its reason must be mended: {hold.sentence}")
        hold.released_at, hold.released_by, hold.released_why = now, user, reason.strip()  # type: ignore[assignment]
        hold.save(update_fields=["released_at", "released_by", "released_why"])
    return hold
