"""All models of the app, gathered from its packages."""

from billing.catalog.agreements.models import *  # noqa: F403
from billing.catalog.changes.models import *  # noqa: F403
from billing.catalog.coupons.models import *  # noqa: F403
from billing.catalog.free.models import *  # noqa: F403
from billing.catalog.models import *  # noqa: F403
from billing.catalog.renewals.models import *  # noqa: F403
from billing.catalog.terms.models import *  # noqa: F403
from billing.catalog.units.models import *  # noqa: F403
from billing.invoicing.computations.models import *  # noqa: F403
from billing.invoicing.holds.models import *  # noqa: F403
from billing.invoicing.late.models import *  # noqa: F403
from billing.invoicing.marks.models import *  # noqa: F403
from billing.invoicing.models import *  # noqa: F403
from billing.invoicing.runs.models import *  # noqa: F403
from billing.lab.models import *  # noqa: F403
from billing.metering.access.models import *  # noqa: F403
from billing.metering.alerts.models import *  # noqa: F403
from billing.metering.corrections.models import *  # noqa: F403
from billing.metering.models import *  # noqa: F403
from billing.metering.months.models import *  # noqa: F403
from billing.metering.reports.models import *  # noqa: F403
from billing.metering.rollups.models import *  # noqa: F403
from billing.metering.sources.models import *  # noqa: F403
from billing.moves.models import *  # noqa: F403
from billing.payments.models import *  # noqa: F403
from billing.verification.models import *  # noqa: F403
