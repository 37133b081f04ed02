"""Leases on runs: one process at a time works on a run, and a crashed one is followed by another.

A lease is renewed in the transaction of each chunk. Who lost it can commit nothing more.
"""

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

from django.db.models import Q

from billing.lab.errors import LeaseLost
from billing.lab.models import TrialRun
from billing.lab.states import WORKING, RunState

LEASE: Final = timedelta(minutes=3)
"""How long a worker may be silent before another takes its work over."""
PATIENCE: Final = timedelta(minutes=10)
"""How long a queued run waits for a worker before it is queued again."""


def take(pk: int, now: datetime) -> UUID | None:
    """A new lease on a run that is to be worked on; None while another process holds one."""
    lease = uuid4()
    free = Q(lease=None) | Q(leased_until__lt=now)
    taken = TrialRun.objects.filter(free, pk=pk, state__in=WORKING).update(lease=lease, leased_until=now + LEASE)
    return lease if taken else None


def renew(pk: int, lease: UUID, now: datetime, **changes: Any) -> None:
    """Hold on for another while, and change the row with it; LeaseLost when it was taken over or cancelled."""
    if not TrialRun.objects.filter(pk=pk, lease=lease).update(leased_until=now + LEASE, **changes):
        raise LeaseLost


def release(pk: int, lease: UUID, **changes: Any) -> None:
    """Let go, and change the row with it. LeaseLost as `renew`."""
    if not TrialRun.objects.filter(pk=pk, lease=lease).update(
        **({"lease": None, "leased_until": None} | changes)
    ):  # fmt: skip
        raise LeaseLost


def fail(pk: int, lease: UUID, message: str, now: datetime) -> None:
    """End a run that cannot go on, with the reason; nothing happens where the lease was lost."""
    TrialRun.objects.filter(pk=pk, lease=lease).update(
        state=RunState.FAILED, message=message, finished_at=now, lease=None, leased_until=None
    )
