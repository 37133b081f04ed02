"""Pages of uploads and pull sources, gathered."""

from billing.metering.sources.pull_admin import *  # noqa: F403
from billing.metering.sources.upload_admin import *  # noqa: F403
