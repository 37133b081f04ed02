"""Rating contracts under today's terms and under each candidate, in one pass that shares the questions about usage.

It reads only. The number of queries does not grow with the contracts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal

from django.db.models import Q

from billing.catalog.models import PlanVersion, SubscriptionInterval
from billing.catalog.plan_files import read_plan, unsaved_version
from billing.invoicing.errors import InvoicingError
from billing.invoicing.whatif import Expected, ExpectedLine, expected, terms_under
from billing.lab.models import PriceTrial, TrialCandidate
from billing.lab.statistics import Part
from billing.money import plain
from billing.periods import Period, local_midnight
from customers.models import Contract


@dataclass(frozen=True, slots=True)
class Setup:
    """A trial ready to rate: its candidates in order, each with the version that its frozen content makes."""

    trial: PriceTrial
    candidates: Sequence[TrialCandidate]
    versions: Sequence[PlanVersion]


@dataclass(slots=True)
class Found:
    """What a customer pays in one currency, today first, then under each candidate; `problem` if it cannot be told."""

    customer_id: int
    currency: str
    amounts: list[Decimal]
    parts: dict[Part, list[Decimal]] = field(default_factory=dict)
    problem: str = ""

    def parts_json(self) -> list[list[str]]:
        """Kind, code, today's amount and each candidate's."""
        return [[kind, code, *map(plain, sums)] for (kind, code), sums in sorted(self.parts.items())]


def setup_of(trial: PriceTrial) -> Setup:
    """The trial with its candidates built from what was frozen; four queries each.

    PlanFileError where the database no longer has what a candidate takes for granted, such as a meter.
    """
    candidates = list(trial.candidates.select_related("plan", "version"))
    return Setup(trial, candidates, [_version(each) for each in candidates])


def _version(candidate: TrialCandidate) -> PlanVersion:
    version = unsaved_version(read_plan(candidate.content))
    if candidate.version and not candidate.edited:
        version.number = candidate.version.number  # in a problem it goes by its own name
    return version


def month_after(month: date) -> date:
    """The first day of the next month."""
    return (month.replace(day=1) + timedelta(days=32)).replace(day=1)


def period_of(trial: PriceTrial, zone: str) -> Period:
    """The trial's months in a time zone: cycles that end in them are rated."""
    return Period(local_midnight(trial.first_month, zone), local_midnight(month_after(trial.last_month), zone))


def in_force(trial: PriceTrial) -> Q:
    """Current intervals that reach into the trial's months, give or take a time zone."""
    months = period_of(trial, "UTC")
    later, earlier = months.until + timedelta(days=1), months.start - timedelta(days=1)
    return Q(superseded_at=None, start__lt=later) & (Q(end=None) | Q(end__gt=earlier))


def replaced(setup: Setup, contract_ids: Sequence[int]) -> list[dict[int, PlanVersion]]:
    """For each candidate: the subscriptions that it replaces, by id, with its version. One query."""
    bound = SubscriptionInterval.objects.filter(in_force(setup.trial), subscription__contract_id__in=contract_ids)
    rows = list(bound.values_list("subscription_id", "version__plan_id", "subscription__product_id").distinct())
    by_plan = setup.trial.replaces == PriceTrial.Replaces.PLAN
    return [
        {
            subscription: version
            for subscription, plan, product in rows
            if (plan == each.plan_id if by_plan else product == each.plan.product_id)
        }
        for each, version in zip(setup.candidates, setup.versions, strict=True)
    ]


def answers(setup: Setup, contracts: Sequence[Contract]) -> dict[int, list[Expected]]:
    """For each contract, by id: what it pays today, then under each candidate. MonthDetached as `expected`."""
    swaps: list[Mapping[int, PlanVersion]] = [{}, *replaced(setup, [contract.pk for contract in contracts])]
    terms = [terms_under(contracts, swap) for swap in swaps]
    asked = []
    for contract in contracts:
        period = period_of(setup.trial, contract.timezone)
        for column in terms:
            if not isinstance(given := column[contract.pk], InvoicingError):
                asked.append((given, period))
    rated = iter(expected(asked))
    return {
        contract.pk: [
            _untold(contract, given) if isinstance(given, InvoicingError) else next(rated)
            for given in (column[contract.pk] for column in terms)
        ]
        for contract in contracts
    }


def _untold(contract: Contract, error: InvoicingError) -> Expected:
    return Expected([], Decimal(0), contract.currency, str(error))


def compare(setup: Setup, contracts: Sequence[Contract], names: dict[str, str]) -> list[Found]:
    """What each customer pays, by currency, over all these contracts; the charges' names are added to `names`."""
    found: dict[tuple[int, str], Found] = {}
    given = answers(setup, contracts)
    for contract in contracts:
        key = contract.customer_id, contract.currency
        row = found.setdefault(key, Found(*key, [Decimal(0)] * (1 + len(setup.versions))))
        for column, each in enumerate(given[contract.pk]):
            if each.problem and not row.problem:
                who = f" under {setup.candidates[column - 1]}" if column else ""
                row.problem = f"Contract {contract}{who}: {each.problem}"
            row.amounts[column] += each.total
            for line in each.lines:
                part = part_of(line)
                if line.charge:
                    names.setdefault(part[1], line.charge.name)
                row.parts.setdefault(part, [Decimal(0)] * len(row.amounts))[column] += line.amount
    return list(found.values())


def part_of(line: ExpectedLine) -> Part:
    """What a line is for: the same charge under other terms has the same code."""
    return line.kind, (line.charge.code or line.charge.name) if line.charge else ""
