"""Whether customers' own terms can stay on top of the version that they are moved to."""

from collections.abc import Collection
from datetime import datetime

from billing.catalog.models import PlanVersion
from billing.catalog.terms.errors import TermsError
from billing.catalog.terms.queries import term_of, version_charges, versions_of
from billing.catalog.terms.resolve import resolve
from billing.catalog.terms.values import Interval
from billing.moves.choosing import Known
from billing.moves.splicing import stretch
from billing.periods import Period


def misfits(known: Known, going: Collection[tuple[int, datetime]], target: PlanVersion) -> dict[int, str]:
    """Why own terms do not fit `target`, by subscription, of those that move at an instant. No query without any."""
    with_own = [(pk, at) for pk, at in going if known.facts[pk].own_at(at)]
    if not with_own:
        return {}
    version = versions_of({target.pk})[target.pk]
    found = {pk: _misfit(known, pk, at, version) for pk, at in with_own}
    return {pk: f"Its own terms do not fit {target}: {why}" for pk, why in found.items() if why}


def _misfit(known: Known, pk: int, at: datetime, version: PlanVersion) -> str:
    facts = known.facts[pk]
    try:
        charges = version_charges(version, facts.currency)
        bound = [
            Interval(pk, Period(max(row.start, at), row.end), row.quantity, charges)
            for row in stretch(facts.rows, at, facts.stops)
        ]  # fmt: skip
        resolve(bound, [term_of(row, facts.currency) for row in known.own[pk]])
    except TermsError as error:
        return str(error)
    return ""
