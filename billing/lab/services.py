"""The verbs of the price lab: make a trial, run it, cancel a run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import Max, Q

from billing.catalog.models import Plan, PlanVersion
from billing.catalog.plan_files import plan_to_json
from billing.catalog.plan_values import PlanFile, to_json
from billing.lab import leases
from billing.lab.cohort import Cohort
from billing.lab.errors import LabError, NobodyToRate, NoCandidates, WrongRunState
from billing.lab.models import PriceTrial, TrialCandidate, TrialRun
from billing.lab.queries import contracts_of
from billing.lab.states import WORKING, RunState

CANDIDATES = 5
MONTHS = 24

Queue = Callable[[int], None]
"""Hands a run, by its id, to the worker."""


@dataclass(frozen=True, slots=True)
class Given:
    """A candidate: a saved version, or an edited plan (with the version that it was made from, if any)."""

    version: PlanVersion | None = None
    edited: PlanFile | None = None
    name: str = ""


def create_trial(
    *, name: str, first_month: date, last_month: date, candidates: Sequence[Given], user: AbstractBaseUser | None,
    now: datetime, cohort: Cohort | None = None, replaces: str = PriceTrial.Replaces.PLAN, note: str = "",
) -> PriceTrial:  # fmt: skip
    """Keep a question with its candidates, whose content is frozen here. LabError with the way out."""
    first, last = first_month.replace(day=1), last_month.replace(day=1)
    if not candidates:
        raise NoCandidates
    if len(candidates) > CANDIDATES:
        raise LabError(f"A trial has at most {CANDIDATES} candidates: make another trial for the rest.")
    if last < first:
        raise LabError("The last month is before the first one: exchange them.")
    if (last.year - first.year) * 12 + last.month - first.month >= MONTHS:
        raise LabError(f"A trial rates at most {MONTHS} months: choose fewer.")
    with transaction.atomic():
        trial = PriceTrial.objects.create(
            name=name, note=note, first_month=first, last_month=last, replaces=replaces, created_at=now,
            cohort=(cohort or Cohort()).to_json(), created_by_id=user.pk if user else None,
        )  # fmt: skip
        TrialCandidate.objects.bulk_create([_candidate(trial, place, given) for place, given in enumerate(candidates)])
    return trial


def _candidate(trial: PriceTrial, place: int, given: Given) -> TrialCandidate:
    if given.edited is not None:
        content: dict[str, Any] = to_json(given.edited)
        plan = Plan.objects.filter(code=given.edited.plan).first()
        if plan is None:
            raise LabError(
                f"There is no plan {given.edited.plan!r}: an edited candidate names the plan whose subscriptions it"
                " replaces."
            )
        name = given.name or f"{plan} (edited)"
        return TrialCandidate(
            trial=trial, position=place, name=name, plan=plan, version=given.version, edited=True, content=content
        )
    if given.version is None:
        raise NoCandidates
    version = given.version
    return TrialCandidate(
        trial=trial, position=place, name=given.name or str(version), plan=version.plan, version=version,
        content=plan_to_json(version),
    )  # fmt: skip


def request_run(*, trial: PriceTrial, user: AbstractBaseUser | None, queue: Queue, now: datetime) -> TrialRun:
    """A new run of a trial, beside earlier ones, handed to the worker. NobodyToRate where that is known already."""
    with transaction.atomic():
        PriceTrial.objects.select_for_update().get(pk=trial.pk)  # two at once take two numbers
        if not Cohort.from_json(trial.cohort).size_by and not contracts_of(trial):
            raise NobodyToRate
        last = trial.runs.aggregate(last=Max("number"))["last"] or 0
        run = TrialRun.objects.create(
            trial=trial, number=last + 1, requested_by_id=user.pk if user else None, requested_at=now,
            leased_until=now + leases.PATIENCE,
        )  # fmt: skip
        queue(run.pk)
    return run


def cancel_run(*, run: TrialRun, now: datetime) -> None:
    """Stop a run: the chunk in hand is dropped, what it found before is kept and not shown as a result."""
    if not TrialRun.objects.filter(pk=run.pk, state__in=WORKING).update(
        state=RunState.CANCELLED, finished_at=now, lease=None, leased_until=None
    ):
        run.refresh_from_db()
        raise WrongRunState(run, run.get_state_display(), "cancelled")


def queue_waiting(*, queue: Queue, now: datetime) -> int:
    """Queue runs again whose worker has died or never came; how many."""
    waiting = TrialRun.objects.filter(Q(leased_until=None) | Q(leased_until__lt=now), state__in=WORKING)
    found = 0
    for pk in waiting.values_list("pk", flat=True):
        mine = TrialRun.objects.filter(Q(leased_until=None) | Q(leased_until__lt=now), pk=pk, state__in=WORKING)
        if mine.update(lease=None, leased_until=now + leases.PATIENCE):
            queue(pk)
            found += 1
    return found
