"""A small business whose trials can be computed by hand: a fee of USD 100.00 and USD 0.01 a token."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from billing.catalog.models import PlanVersion
from billing.lab.models import PriceTrial, TrialRun
from billing.lab.running import run_trial
from billing.lab.services import Given, create_trial, request_run
from tests import factories

NOW = datetime(2024, 1, 5, 12, tzinfo=UTC)
NOVEMBER = date(2023, 11, 1)


def now() -> datetime:
    """The clock of the tests."""
    return NOW


def never() -> bool:
    """There is always time."""
    return False


def make_book(tokens: Sequence[int]) -> PlanVersion:
    """A customer with a contract for each number of tokens used in November; the version that they have."""
    version = factories.make_version(factories.fee(), factories.usage())
    for number, _ in enumerate(tokens):
        contract = factories.make_contract(factories.make_customer(f"buyer-{number}"), number=f"K-{number:03d}")
        factories.make_subscription(contract, version)
    factories.send_events([
        {"subject": f"buyer-{number}", "time": "2023-11-10T08:00:00Z", "data": {"tokens": used}}
        for number, used in enumerate(tokens) if used
    ])  # fmt: skip
    return version


def make_candidate(amount: str = "80.00", unit_amount: str = "0.02") -> PlanVersion:
    """A new version of their plan: another fee, another price of a token."""
    return factories.make_version(
        factories.fee(amount=amount), factories.usage(model="per_unit", unit_amount=unit_amount)
    )


def make_trial(*versions: PlanVersion, **fields: Any) -> PriceTrial:
    """A trial of November."""
    defaults: dict[str, Any] = {
        "name": "Dearer tokens", "first_month": NOVEMBER, "last_month": NOVEMBER, "user": None, "now": NOW,
        "candidates": [Given(version) for version in versions],
    }  # fmt: skip
    return create_trial(**(defaults | fields))


def start(trial: PriceTrial) -> TrialRun:
    """A run that waits for the worker."""
    return request_run(trial=trial, user=None, queue=lambda pk: None, now=NOW)


def finish(run: TrialRun) -> TrialRun:
    """Let the worker do all of it."""
    assert run_trial(run_id=run.pk, clock=now, time_is_up=never) is False
    run.refresh_from_db()
    return run


def amounts(run: TrialRun) -> dict[str, tuple[Decimal, list[Decimal]]]:
    """By customer: today's amount and each candidate's."""
    return {each.customer.external_id: (each.today, each.amounts) for each in run.outcomes.select_related("customer")}
