"""Background work of the catalog."""

from billing.catalog import publication
from config import clock


def publish_due() -> int:
    """Publish the plan versions whose time has come; how many. Run it every minute; again does nothing."""
    return len(publication.publish_due(now=clock.now()))
