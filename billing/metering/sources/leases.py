"""Leases: one process at a time works on an upload or a source, and a crashed one is followed by another.

A lease is renewed in the transaction of each batch. Who lost it can commit nothing more.
"""

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

from django.db.models import Q

from billing.metering.sources.errors import LeaseLost
from billing.metering.sources.models import PullSource, Upload

LEASE: Final = timedelta(minutes=3)
"""How long a worker may be silent before another takes its work over."""
PATIENCE: Final = timedelta(minutes=10)
"""How long queued work waits for a worker before it is queued again."""

_Leased = type[Upload] | type[PullSource]


def take(model: _Leased, pk: int, now: datetime) -> UUID | None:
    """A new lease on the row; None while another process holds one."""
    lease = uuid4()
    free = Q(lease=None) | Q(leased_until__lt=now)
    taken = model._default_manager.filter(free, pk=pk).update(lease=lease, leased_until=now + LEASE)
    return lease if taken else None


def renew(model: _Leased, pk: int, lease: UUID, now: datetime, **changes: Any) -> None:
    """Hold on for another while, and change the row with it; LeaseLost when another process has taken it over."""
    if not model._default_manager.filter(pk=pk, lease=lease).update(leased_until=now + LEASE, **changes):
        raise LeaseLost


def release(model: _Leased, pk: int, lease: UUID, *, until: datetime | None = None, **changes: Any) -> None:
    """Let go, and change the row with it; with `until`, the work is queued again after that. LeaseLost as `renew`."""
    if not model._default_manager.filter(pk=pk, lease=lease).update(lease=None, leased_until=until, **changes):
        raise LeaseLost
