"""Whether the version that customers are moved to can be billed to them, their own terms on top or ended."""

from collections.abc import Collection
from datetime import datetime

from billing.catalog.models import PlanVersion, Subscription
from billing.catalog.terms.errors import TermsError
from billing.catalog.terms.queries import OwnTerms, version_charges, versions_of
from billing.catalog.terms.values import Interval
from billing.moves.choosing import Known
from billing.moves.splicing import stretch
from billing.periods import Period


def misfits(
    known: Known, going: Collection[tuple[Subscription, datetime]], target: PlanVersion, *, own_terms_end: bool
) -> dict[int, str]:
    """Why nothing could be billed under `target`, by subscription, of those that move at an instant; constant queries.

    Own terms that do not fit its charges are the usual reason, a custom unit without a rate another.
    """
    if not going:
        return {}
    version = versions_of({target.pk})[target.pk]
    own = known.own.without({each.pk for each, _ in going}) if own_terms_end else known.own
    found = {each.pk: _misfit(known, own, each, at, version) for each, at in going}
    return {pk: f"Its terms under {target} would not fit together: {why}" for pk, why in found.items() if why}


def _misfit(known: Known, own: OwnTerms, subscription: Subscription, at: datetime, version: PlanVersion) -> str:
    facts = known.facts[subscription.pk]
    try:
        charges = version_charges(version, facts.currency)
        bound = [
            Interval(subscription.pk, Period(max(row.start, at), row.end), row.quantity, charges)
            for row in stretch(facts.rows, at, facts.stops)
        ]  # fmt: skip
        own.resolved(subscription.contract, bound)
    except TermsError as error:
        return str(error)
    return ""
