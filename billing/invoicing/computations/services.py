"""The verb of computations: begin one."""

from datetime import datetime

from billing.invoicing.computations.models import Computation
from billing.metering.queries import known_now
from customers.knowledge import draw_number


def begin(*, now: datetime) -> Computation:
    """Say what is known, before anything is counted: what comes meanwhile is told as late rather than never.

    The caller holds the locks of everyone concerned, and reads after it.
    """
    known = known_now()
    return Computation.objects.create(
        number=draw_number(), position=known.position, pending=sorted(known.pending), made_at=now
    )
