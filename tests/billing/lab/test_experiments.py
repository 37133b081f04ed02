"""Experiments: who gets which variant, and what came of it."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from django.db import DatabaseError, transaction

from billing.catalog.errors import Overlap
from billing.catalog.models import PlanVersion, Subscription
from billing.catalog.services import new_version
from billing.lab.errors import ExperimentError
from billing.lab.experiments.queries import misassigned, standings
from billing.lab.experiments.services import start_experiment, stop_experiment, subscribe_by_experiment
from billing.lab.models import Experiment, ExperimentAssignment, ExperimentVariant
from billing.lab.shares import bucket
from customers.models import Contract
from tests import factories
from tests.billing.lab.helpers import NOW, make_candidate

pytestmark = pytest.mark.django_db
NOVEMBER = date(2023, 11, 1)


def make_experiment(*, started: bool = True, shares: tuple[int, int] = (5_000, 5_000)) -> Experiment:
    """The fee of USD 100.00 and a cent a token, against USD 80.00 and two."""
    control = factories.make_version(factories.fee(), factories.usage())
    variants = {"control": control, "dear tokens": make_candidate()}
    experiment = Experiment.objects.create(code="spring", name="Spring", plan=control.plan, starts_on=NOVEMBER)
    for place, (name, version) in enumerate(variants.items()):
        ExperimentVariant.objects.create(
            experiment=experiment, position=place, name=name, version=version, share=shares[place]
        )
    return start_experiment(experiment=experiment, now=NOW) if started else experiment


def assign(experiment: Experiment, number: str = "K-1", **contract: object) -> ExperimentAssignment:
    """A new contract, subscribed by the experiment."""
    made = factories.make_contract(factories.make_customer(f"buyer-{number}"), number=number, **contract)
    return subscribe_by_experiment(contract=made, experiment=experiment, code="main", start=NOVEMBER, now=NOW)


def version_of(assignment: ExperimentAssignment) -> PlanVersion:
    """What the contract is subscribed to."""
    return assignment.subscription.intervals.get(superseded_at=None).version


def test_it_works() -> None:
    experiment = make_experiment()
    for number in range(12):
        assignment = assign(experiment, f"K-{number}")
        dear = bucket("spring", f"K-{number}") >= 5_000
        assert assignment.variant.name == ("dear tokens" if dear else "control")
        assert version_of(assignment) == assignment.variant.version
    assert misassigned(experiment) == []
    assert {each.variant.name: each.contracts for each in standings(experiment, NOW)} == {
        "control": sum(bucket("spring", f"K-{n}") < 5_000 for n in range(12)),
        "dear tokens": sum(bucket("spring", f"K-{n}") >= 5_000 for n in range(12)),
    }


def test_what_a_variant_earned_is_what_was_billed_and_what_is_to_come() -> None:
    experiment = make_experiment(shares=(10_000, 0))
    for number, tokens in (("A", 1_000), ("B", 5_000)):
        assign(experiment, number)
        factories.send_events(subject=f"buyer-{number}", time="2023-11-10T08:00:00Z", data={"tokens": tokens})
    factories.bill_and_issue("2023-11-01")
    control, dear = standings(experiment, datetime(2023, 12, 2, tzinfo=UTC))
    (revenue,) = control.revenue.values()
    assert (revenue.currency, revenue.contracts, revenue.billed) == ("USD", 2, Decimal("200.00"))
    assert (revenue.expected, revenue.average) == (Decimal("260.00"), Decimal("130.00"))
    assert revenue.spread == (Decimal("110.00"), Decimal("110.00"), Decimal("150.00"))
    assert list(control.used.values()) == [Decimal(6_000)]
    assert control.few
    assert (dear.contracts, dear.revenue) == (0, {})


def test_nothing_has_come_of_an_experiment_without_contracts() -> None:
    assert [each.contracts for each in standings(make_experiment(), NOW)] == [0, 0]


@pytest.mark.parametrize(
    ("shares", "sentence"), [((5_000, 4_000), "add up to 9000 basis points: make them 10000"), ((0, 10_000), "")]
)
def test_shares_add_up_before_it_starts(shares: tuple[int, int], sentence: str) -> None:
    experiment = make_experiment(started=False, shares=shares)
    if sentence:
        with pytest.raises(ExperimentError, match=sentence):
            start_experiment(experiment=experiment, now=NOW)
    else:
        assert start_experiment(experiment=experiment, now=NOW).state == "running"


def test_variants_are_published_versions_of_the_product() -> None:
    experiment = make_experiment(started=False)
    variant = experiment.variants.get(name="control")
    variant.version = new_version(plan=experiment.plan, copy_of=variant.version)
    variant.save()
    with pytest.raises(ExperimentError, match="is not published: publish it first"):
        start_experiment(experiment=experiment, now=NOW)
    variant.version = factories.make_version(product="other", plan="other")
    variant.save()
    with pytest.raises(ExperimentError, match="is of another product"):
        start_experiment(experiment=experiment, now=NOW)
    variant.delete()
    with pytest.raises(ExperimentError, match="at least two variants"):
        start_experiment(experiment=experiment, now=NOW)


def test_a_plan_is_in_one_experiment_at_a_time() -> None:
    first = make_experiment()
    second = Experiment.objects.create(code="autumn", name="Autumn", plan=first.plan, starts_on=NOVEMBER)
    for each in first.variants.all():
        ExperimentVariant.objects.create(experiment=second, name=each.name, version=each.version, share=5_000)
    with pytest.raises(ExperimentError, match="stop that one first"):
        start_experiment(experiment=second, now=NOW)
    stop_experiment(experiment=first, reason="enough seen", now=NOW)
    assert start_experiment(experiment=second, now=NOW).state == "running"


def test_what_has_started_stays_as_it_is() -> None:
    experiment = make_experiment()
    assignment = assign(experiment)
    for change in (
        lambda: experiment.variants.update(share=1),
        lambda: experiment.variants.filter(name="control").delete(),
        lambda: Experiment.objects.update(code="other"),
        lambda: ExperimentAssignment.objects.filter(pk=assignment.pk).update(bucket=1),
        lambda: ExperimentAssignment.objects.filter(pk=assignment.pk).delete(),
    ):
        with pytest.raises(DatabaseError), transaction.atomic():
            change()


def test_a_stopped_experiment_assigns_nobody() -> None:
    experiment = make_experiment()
    assignment = assign(experiment)
    stop_experiment(experiment=experiment, reason="enough seen", now=NOW)
    with pytest.raises(ExperimentError, match="is stopped: subscribe K-2 to a plan version instead"):
        assign(experiment, "K-2")
    with pytest.raises(ExperimentError, match="cannot be stopped"):
        stop_experiment(experiment=experiment, reason="again", now=NOW)
    assert Subscription.objects.get() == assignment.subscription


def test_only_new_and_active_contracts_take_part() -> None:
    experiment = make_experiment()
    contract = assign(experiment).contract

    def again(**changes: object) -> None:
        fields = {"contract": contract, "code": "more", "start": NOVEMBER} | changes
        subscribe_by_experiment(experiment=experiment, now=NOW, **fields)

    with pytest.raises(ExperimentError, match="is in “Spring” already"):
        again()
    with pytest.raises(ExperimentError, match="that start on 2023-11-01 or later, not on 2023-10-31"):
        again(start=date(2023, 10, 31))
    old = factories.make_contract(factories.make_customer())
    factories.make_subscription(old, factories.make_version(plan="basic"))
    with pytest.raises(ExperimentError, match="has a subscription to Api already"):
        again(contract=old)
    draft = Contract.objects.create(
        number="K-9", customer=old.customer, entity=old.entity, start=NOVEMBER, currency="USD"
    )
    with pytest.raises(ExperimentError, match="Activate contract K-9 first"):
        again(contract=draft)


def test_nothing_is_assigned_where_the_subscription_is_refused() -> None:
    experiment = make_experiment()
    customer = factories.make_customer()
    factories.make_subscription(factories.make_contract(customer), factories.make_version(
        factories.usage("other"), product="other", plan="other"
    ))  # fmt: skip
    contract = factories.make_contract(customer)
    with pytest.raises(Overlap):
        subscribe_by_experiment(contract=contract, experiment=experiment, code="main", start=NOVEMBER, now=NOW)
    assert ExperimentAssignment.objects.count() == 0
