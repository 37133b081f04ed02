"""Reads of runs: how far one is, what came of its contracts, and what a contract's last run did."""

from dataclasses import dataclass, field
from typing import Final

from django.db.models import Case, Count, OuterRef, Q, QuerySet, Subquery, Sum, When
from django.db.models.functions import Coalesce

from billing.invoicing.runs.models import BillingRun, RunChunk, RunOutcome
from billing.invoicing.runs.states import ChunkState

Result = RunOutcome.Result
ORDER: Final = (Result.FAILED, Result.HELD, Result.DRAFTED, Result.UNCHANGED)
"""The troubles first."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: contracts by result, of how many, and chunks that are open, and begun more than once."""

    contracts: int
    counts: dict[str, int] = field(default_factory=dict)
    open: int = 0
    repeated: int = 0

    @property
    def done(self) -> int:
        """Contracts whose chunk has committed."""
        return sum(self.counts.values())

    @property
    def percent(self) -> int:
        """Of the contracts, rounded down: 100 means all."""
        return 100 * self.done // self.contracts if self.contracts else 100

    @property
    def troubled(self) -> int:
        """Held and failed."""
        return self.counts[Result.HELD] + self.counts[Result.FAILED]


def progress_of(run: BillingRun) -> Progress:
    """How far a run is, from its chunks; one query."""
    sums = {f"n_{result}": Coalesce(Sum(result), 0) for result in Result.values}
    chunks = {"open": Count("pk", Q(state=ChunkState.OPEN)), "repeated": Count("pk", Q(attempts__gt=1))}
    found = RunChunk.objects.filter(run=run).aggregate(**sums, **chunks)
    counts = {result: found[f"n_{result}"] for result in Result.values}
    return Progress(run.contracts, counts, found["open"], found["repeated"])


def with_counts(runs: QuerySet[BillingRun]) -> QuerySet[BillingRun]:
    """Runs with their contracts counted by result, as `n_drafted` and so on, from their chunks."""
    chunks = RunChunk.objects.filter(run=OuterRef("pk")).order_by().values("run")
    counts = {f"n_{result}": chunks.annotate(n=Sum(result)).values("n") for result in Result.values}
    return runs.annotate(**{name: Coalesce(Subquery(each), 0) for name, each in counts.items()})


def outcomes_of(run: BillingRun, *, result: str = "", code: str = "", text: str = "") -> QuerySet[RunOutcome]:
    """What came of a run's contracts, the troubles first, then by customer; `result` “trouble” is both kinds."""
    found = RunOutcome.objects.filter(run=run).select_related("contract", "customer", "invoice")
    if result == "trouble":
        found = found.filter(result__in=[Result.HELD, Result.FAILED])
    elif result:
        found = found.filter(result=result)
    if code:
        found = found.filter(code=code)
    if text:
        found = found.filter(
            Q(contract__number__iexact=text) | Q(customer__external_id__iexact=text)
            | Q(customer__legal_name__icontains=text)
        )  # fmt: skip
    rank = Case(*[When(result=value, then=place) for place, value in enumerate(ORDER)])
    return found.order_by(
        rank, "customer__legal_name", "customer_id", Case(When(code="sibling", then=1), default=0), "contract__number"
    )


def codes_of(run: BillingRun) -> list[tuple[str, int]]:
    """The kinds of reasons in a run and how many contracts have each, most first; one query."""
    rows = RunOutcome.objects.filter(run=run).exclude(code="").values_list("code")
    return list(rows.annotate(n=Count("pk")).order_by("-n", "code"))


def last_outcome(contract_id: int) -> RunOutcome | None:
    """What the last run that looked at a contract did; one query."""
    found = RunOutcome.objects.filter(contract=contract_id).select_related("run", "invoice")
    return found.order_by("-run_id").first()
