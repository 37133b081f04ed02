"""Who a move is for, and what is known of them: a chunk of subscriptions in a constant number of queries."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, F, OuterRef, Q, QuerySet, Subquery

from billing.catalog.models import Charge, PlanVersion, Subscription, SubscriptionInterval
from billing.catalog.terms.queries import OwnTerms, own_terms
from billing.moves.criteria import Criteria
from billing.moves.judging import Facts, Rival
from billing.moves.models import MovedSubscription
from billing.moves.splicing import Row
from billing.moves.states import Outcome
from billing.moves.timing import Term
from billing.periods import Period
from customers.models import Contract

CURRENT = Q(superseded_at=None)


@dataclass(frozen=True, slots=True)
class Target:
    """The version to move to: its name, the meters that it counts by code, and each charge's currencies."""

    id: int
    name: str
    meters: frozenset[str]
    prices: tuple[tuple[str, frozenset[str]], ...]

    def unpriced(self, currency: str) -> str:
        """The first charge that has no price in a currency; "" when all have one."""
        return next((name for name, currencies in self.prices if currency not in currencies), "")


@dataclass(slots=True)
class Known:
    """What is known of a chunk: facts, intervals by id, names of versions by id, and own terms by subscription."""

    facts: dict[int, Facts]
    intervals: dict[int, SubscriptionInterval]
    names: dict[int, str]
    own: OwnTerms


def target_of(version: PlanVersion) -> Target:
    """What a move needs to know of its version; two queries."""
    charges = list(Charge.objects.filter(version=version).select_related("meter").prefetch_related("prices"))
    return Target(
        version.pk, str(version), frozenset(each.meter.code for each in charges if each.meter),
        tuple((each.name, frozenset(price.currency for price in each.prices.all())) for each in charges),
    )  # fmt: skip


def candidates(version: PlanVersion, criteria: Criteria, as_of: datetime) -> QuerySet[Subscription]:
    """The subscriptions of the version's product that meet the criteria, by what they are bound to now, or first."""
    bound = SubscriptionInterval.objects.filter(CURRENT, subscription=OuterRef("pk"))
    first = bound.filter(Q(end=None) | Q(end__gt=as_of)).order_by("start").values("version")[:1]
    found = Subscription.objects.filter(product_id=version.plan.product_id).alias(bound_to=Subquery(first))
    wanted = {
        "bound_to__in": list(criteria.versions),
        "contract__currency": criteria.currency,
        "contract__entity": criteria.entity,
        "contract__customer__country__in": list(criteria.countries),
        "contract__start__gte": criteria.started_from,
        "contract__start__lt": criteria.started_before,
        "contract__customer__external_id__in": list(criteria.only),
    }
    return found.filter(**{name: value for name, value in wanted.items() if value})


def subscribers(product_id: int, now: datetime) -> dict[int, int]:
    """How many subscriptions are bound to each version of a product now; one query."""
    bound = SubscriptionInterval.objects.filter(CURRENT, subscription__product=product_id, start__lte=now)
    rows = bound.filter(Q(end=None) | Q(end__gt=now)).order_by().values_list("version").annotate(n=Count("id"))
    return dict(rows)


def know(subscriptions: Sequence[Subscription], target: Target, *, besides: int, listed: Collection[str] = ()) -> Known:
    """The facts of subscriptions whose contracts and customers are at hand; `besides` is the move that asks."""
    ids = [each.pk for each in subscriptions]
    intervals = {
        each.pk: each
        for each in SubscriptionInterval.objects.filter(CURRENT, subscription__in=ids).order_by("subscription", "start")
    }
    rows: dict[int, list[Row]] = defaultdict(list)
    for each in intervals.values():
        rows[each.subscription_id].append(row_of(each))
    stops = _stops(ids, besides)
    own = own_terms(list({each.contract_id for each in subscriptions}))
    rivals = _rivals({each.contract.customer_id for each in subscriptions}, target.meters)
    out = frozenset(listed)
    facts = {
        each.pk: Facts(
            contract=each.contract.number, currency=each.contract.currency, term=term_of(each.contract),
            rows=tuple(rows[each.pk]), stops=stops[each.pk], unpriced=target.unpriced(each.contract.currency),
            rivals=tuple(rival for pk, rival in rivals[each.contract.customer_id] if pk != each.pk),
            own=tuple(Period(term.start, term.end) for term in own.of(each.pk)),
            listed=each.contract.customer.external_id in out,
        )
        for each in subscriptions
    }  # fmt: skip
    versions = {each.version_id for each in intervals.values()}
    return Known(facts, intervals, version_names({target.id, *versions}), own)


def version_names(ids: Iterable[int | None]) -> dict[int, str]:
    """Names of versions by id; one query."""
    found = PlanVersion.objects.filter(pk__in={each for each in ids if each}).select_related("plan")
    return {each.pk: str(each) for each in found}


def row_of(interval: SubscriptionInterval) -> Row:
    """An interval as the rules see it."""
    return Row(interval.pk, interval.version_id, interval.quantity, interval.start, interval.end)


def term_of(contract: Contract) -> Term:
    """A contract as the rules of time see it."""
    return Term(
        contract.start, contract.end, contract.timezone, contract.cadence, contract.anchor_day, contract.proration,
        contract.anchor_month, tuple(contract.billing_dates),
    )  # fmt: skip


def _stops(ids: Sequence[int], besides: int) -> Mapping[int, frozenset[datetime]]:
    """When other moves that stand take over, by subscription."""
    rows = MovedSubscription.objects.filter(subscription__in=ids, outcome=Outcome.SCHEDULED).exclude(move=besides)
    found: dict[int, frozenset[datetime]] = defaultdict(frozenset)
    for pk, at in rows.values_list("subscription_id", "at"):
        assert at is not None  # what is scheduled has a time
        found[pk] |= {at}
    return found


def _rivals(customers: set[int], meters: frozenset[str]) -> Mapping[int, list[tuple[int, Rival]]]:
    """The intervals that count these meters, by customer, each with its subscription's id."""
    rows = (
        SubscriptionInterval.objects.filter(
            CURRENT, subscription__contract__customer__in=customers, version__charges__meter__code__in=list(meters)
        )
        .select_related("subscription__contract")
        .annotate(meter_code=F("version__charges__meter__code"))
    )
    found: dict[int, list[tuple[int, Rival]]] = defaultdict(list)
    for row in rows if meters else ():
        each = Rival(str(row.subscription), row.meter_code, Period(row.start, row.end))
        found[row.subscription.contract.customer_id].append((row.subscription_id, each))
    return found
