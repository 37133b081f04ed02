"""What the lists of plans and versions say about each: in annotations, so that a list costs one query."""

from datetime import datetime

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Count, IntegerField, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from billing.catalog.models import ChargePrice, Plan, PlanVersion, SubscriptionInterval
from billing.catalog.states import VersionState


def with_offer(plans: QuerySet[Plan], now: datetime) -> QuerySet[Plan]:
    """Plans with `latest` (number of the newest published version, or None), `drafts`, `subscribers`, `currencies`.

    `subscribers` counts the subscriptions on any version of the plan at `now`; `currencies` are those of the newest
    published version.
    """
    versions = PlanVersion.objects.filter(plan=OuterRef("pk"))
    newest = versions.filter(state=VersionState.PUBLISHED).order_by("-number")
    on_it = _in_force(now).filter(version__plan=OuterRef("pk"))
    prices = ChargePrice.objects.filter(charge__version=OuterRef("newest"))
    return plans.annotate(
        newest=Subquery(newest.values("pk")[:1]),
        latest=Subquery(newest.values("number")[:1]),
        drafts=_count(versions.filter(state=VersionState.DRAFT).order_by(), "plan", "pk"),
        subscribers=_count(on_it, "version__plan", "subscription"),
        currencies=ArraySubquery(prices.order_by("currency").values("currency").distinct()),
    )


def with_subscribers(versions: QuerySet[PlanVersion], now: datetime) -> QuerySet[PlanVersion]:
    """Versions with `subscribers`: the subscriptions on each at `now`."""
    on_it = _in_force(now).filter(version=OuterRef("pk"))
    return versions.annotate(subscribers=_count(on_it, "version", "subscription"))


def _in_force(now: datetime) -> QuerySet[SubscriptionInterval]:
    current = SubscriptionInterval.objects.filter(superseded_at=None, start__lte=now)
    return current.filter(Q(end=None) | Q(end__gt=now)).order_by()


def _count(rows: QuerySet, group: str, what: str) -> Coalesce:  # type: ignore[type-arg]
    """How many different `what` the rows of an outer one have; 0 without any."""
    counted = rows.values(group).annotate(n=Count(what, distinct=True)).values("n")
    return Coalesce(Subquery(counted, output_field=IntegerField()), 0)
