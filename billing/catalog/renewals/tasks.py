"""Background work of renewals, daily: reads the clock and calls one service."""

from billing.catalog.renewals import services
from config import clock


def renew_due() -> int:
    """Renew every contract whose last day of notice is over; how many were.

    NotRenewed in the end where some cannot be, with the reasons: the task stands among the failed ones until they are
    put right, and the others are renewed all the same.
    """
    now = clock.now()
    done, problems = services.renew_due(contract_ids=services.due(now=now), now=now)
    if problems:
        raise services.NotRenewed(" ".join(problems))
    return done
