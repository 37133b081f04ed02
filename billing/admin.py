"""All pages of the app, gathered from its packages."""

from billing.catalog.admin import *  # noqa: F403
from billing.catalog.contract_admin import *  # noqa: F403
from billing.catalog.renewals.admin import *  # noqa: F403
from billing.catalog.terms.admin import *  # noqa: F403
from billing.catalog.units.admin import *  # noqa: F403
from billing.changing.admin import *  # noqa: F403
from billing.invoicing.admin import *  # noqa: F403
from billing.invoicing.agreed.admin import *  # noqa: F403
from billing.invoicing.agreed.buttons import *  # noqa: F403
from billing.invoicing.agreed.coupon_admin import *  # noqa: F403
from billing.invoicing.corrections_admin import *  # noqa: F403
from billing.invoicing.holds.admin import *  # noqa: F403
from billing.invoicing.late.admin import *  # noqa: F403
from billing.invoicing.run_admin import *  # noqa: F403
from billing.lab.admin import *  # noqa: F403
from billing.metering.access.admin import *  # noqa: F403
from billing.metering.alerts.admin import *  # noqa: F403
from billing.metering.meters.admin import *  # noqa: F403
from billing.metering.months.admin import *  # noqa: F403
from billing.metering.reports.admin import *  # noqa: F403
from billing.metering.sources.admin import *  # noqa: F403
from billing.moves.admin import *  # noqa: F403
from billing.moves.buttons import *  # noqa: F403
from billing.payments.admin import *  # noqa: F403
from billing.rehearsal.admin import *  # noqa: F403
from billing.verification.admin import *  # noqa: F403
