"""What the worker does about rollups."""

from billing.metering.rollups import services


def catch_up() -> int:
    """Build the rollups of new meters and take in what is pending; how many batches that was."""
    return services.catch_up()


def clear_unused() -> int:
    """Delete rollups that no meter uses any more; how many."""
    return services.clear_unused()
