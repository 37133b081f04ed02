"""All models of the app, gathered from its packages."""

from revenue.ledger.models import *  # noqa: F403
