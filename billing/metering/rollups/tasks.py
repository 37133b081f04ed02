"""What the worker does about rollups."""

from billing.metering.rollups import services
from config import clock


def catch_up() -> int:
    """Build the rollups of new meters, take in what is pending, and settle; how many batches were taken in."""
    taken = services.catch_up()
    services.settle(now=clock.now())
    return taken


def clear_unused() -> int:
    """Delete rollups that no meter uses any more; how many."""
    return services.clear_unused()
