"""What came of an experiment: contracts, revenue and usage of each variant. Constant queries."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from django.db.models import Min, Sum

from billing.invoicing.errors import InvoicingError
from billing.invoicing.models import InvoiceLine
from billing.invoicing.states import NUMBERED, InvoiceState
from billing.invoicing.terms import ContractTerms
from billing.invoicing.whatif import ExpectedLine, expected, terms_under
from billing.lab.models import Experiment, ExperimentAssignment, ExperimentVariant
from billing.lab.shares import bucket, chosen
from billing.lab.statistics import FEW, rounded, spread
from billing.metering.models import Meter
from billing.periods import Period

CHUNK = 500
Key = tuple[int, str]
"""A variant and a currency."""


@dataclass(slots=True)
class Revenue:
    """What the contracts of a variant came to in one currency; amounts are of the experiment's subscriptions alone.

    `billed` is on approved and issued invoices. `expected` is what the terms in force bill for every cycle that has
    ended by now, billed or not; `each` has it by contract.
    """

    currency: str
    contracts: int = 0
    billed: Decimal = Decimal(0)
    expected: Decimal = Decimal(0)
    each: list[Decimal] = field(default_factory=list)

    @property
    def average(self) -> Decimal | None:
        """Expected, by contract that could be rated."""
        return rounded(Fraction(self.expected) / len(self.each), 2) if self.each else None

    @property
    def spread(self) -> tuple[Decimal, Decimal, Decimal] | None:
        """The smallest, the median and the largest of `each`."""
        return spread(self.each)


@dataclass(slots=True)
class Standing:
    """A variant with what came of it; `used` is by meter, for those whose quantities add up."""

    variant: ExperimentVariant
    contracts: int = 0
    revenue: dict[str, Revenue] = field(default_factory=dict)
    used: dict[int, Decimal] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def few(self) -> bool:
        """Whether one contract may make the difference."""
        return self.contracts < FEW


def standings(experiment: Experiment, now: datetime) -> list[Standing]:
    """Each variant of an experiment with what its contracts came to, in order."""
    found = {each.pk: Standing(each) for each in experiment.variants.select_related("version__plan")}
    assigned = list(experiment.assignments.select_related("contract"))
    _count(found, assigned)
    begun = experiment.assignments.aggregate(first=Min("subscription__intervals__start"))["first"]
    for place in range(0, len(assigned), CHUNK):
        _expect(found, assigned[place : place + CHUNK], begun, now)
    return list(found.values())


def misassigned(experiment: Experiment) -> list[ExperimentAssignment]:
    """Assignments that the hash would not make: there are none, unless somebody wrote to the database by hand."""
    variants = list(experiment.variants.all())
    shares = [each.share for each in variants]
    wrong = []
    for each in experiment.assignments.select_related("contract"):
        place = bucket(experiment.code, each.contract.number)
        if each.bucket != place or each.variant_id != variants[chosen(place, shares)].pk:
            wrong.append(each)
    return wrong


def meters_of(standings: Sequence[Standing]) -> dict[int, Meter]:
    """The meters whose quantities the variants have."""
    return Meter.objects.in_bulk({meter for each in standings for meter in each.used})


def _count(found: Mapping[int, Standing], assigned: Sequence[ExperimentAssignment]) -> None:
    variant_of = {each.subscription_id: each.variant_id for each in assigned}
    for each in assigned:
        standing = found[each.variant_id]
        standing.contracts += 1
        revenue = standing.revenue.setdefault(each.contract.currency, Revenue(each.contract.currency))
        revenue.contracts += 1
    told = (InvoiceState.APPROVED, *NUMBERED)
    lines = InvoiceLine.objects.filter(stream__subscription__in=variant_of, invoice__state__in=told)
    rows = lines.values_list("stream__subscription", "invoice__currency").annotate(all=Sum("amount")).order_by()
    for subscription, currency, amount in rows:
        found[variant_of[subscription]].revenue[currency].billed += amount


def _expect(
    found: Mapping[int, Standing], assigned: Sequence[ExperimentAssignment], begun: datetime, now: datetime
) -> None:
    """What the terms bill for the cycles that have ended, and the usage in them."""
    if begun >= now:
        return
    terms = terms_under([each.contract for each in assigned], {})
    told = [(each, given) for each in assigned if isinstance(given := terms[each.contract_id], ContractTerms)]
    for each in assigned:
        if isinstance(error := terms[each.contract_id], InvoicingError):
            found[each.variant_id].problems.append(f"Contract {each.contract}: {error}")
    answers = expected([(given, Period(begun, now)) for _, given in told])
    for (each, _), answer in zip(told, answers, strict=True):
        standing = found[each.variant_id]
        if answer.problem:
            standing.problems.append(f"Contract {each.contract}: {answer.problem}")
            continue
        mine = [line for line in answer.lines if line.stream[0] == each.subscription_id]
        amount = sum((line.amount for line in mine), Decimal(0))
        revenue = standing.revenue[answer.currency]
        revenue.expected += amount
        revenue.each.append(amount)
        for meter, quantity in _used(mine).items():
            standing.used[meter] = standing.used.get(meter, Decimal(0)) + quantity


def _used(lines: Sequence[ExpectedLine]) -> dict[int, Decimal]:
    """Quantities by meter, for those that add up; a meter that two charges count is used once."""
    sums: dict[tuple[int, str], Decimal] = defaultdict(Decimal)
    for line in lines:
        if line.charge and line.charge.meter_id and line.charge.additive and line.quantity is not None:
            sums[line.charge.meter_id, line.charge.code or line.charge.name] += line.quantity
    found: dict[int, Decimal] = {}
    for (meter, _), quantity in sums.items():
        found[meter] = max(found.get(meter, Decimal(0)), quantity)
    return found
