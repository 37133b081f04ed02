"""Background work of what is not stored."""

from billing.metering.reports import services
from config import clock


def remove_problem_files() -> int:
    """Remove files of problems after 30 days; belongs into every day. How many went."""
    return services.remove_problem_files(now=clock.now())
