"""All pages of the app, gathered from its packages."""

from revenue.ledger.admin import *  # noqa: F403
