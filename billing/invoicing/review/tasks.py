"""Background work of review: what is ordinary approved after a run; drafts assessed that nobody assessed."""

from billing.invoicing.review import approving, services
from billing.invoicing.review.queries import unassessed
from config import clock

SLICE = 500
"""How many drafts are assessed at a time."""


def approve_ordinary(run_id: int) -> int:
    """Approve what policies approve of a run's drafts; how many."""
    return len(approving.approve_ordinary(run_id=run_id, now=clock.now()).done)


def assess() -> int:
    """Assess drafts that changed otherwise than by a run, and those from before an upgrade; how many. Every minute."""
    return services.assess(invoice_ids=unassessed(SLICE), now=clock.now())
