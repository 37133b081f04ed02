"""A run of a trial: what it finds, and how it goes on."""

from decimal import Decimal
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.test.utils import CaptureQueriesContext

from billing.catalog.plan_files import plan_to_json, read_plan
from billing.catalog.services import new_version
from billing.lab import comparing, running, services
from billing.lab.cohort import Cohort
from billing.lab.errors import LabError, NobodyToRate, NoCandidates, WrongRunState
from billing.lab.models import PriceTrial, TrialRun
from billing.lab.services import Given
from tests import factories
from tests.billing.lab.helpers import (
    NOVEMBER,
    NOW,
    amounts,
    finish,
    make_book,
    make_candidate,
    make_trial,
    never,
    now,
    start,
)

pytestmark = pytest.mark.django_db
D = Decimal


def test_it_works() -> None:
    make_book([1_000, 5_000, 0])
    run = finish(start(make_trial(make_candidate())))
    assert (run.state, run.done, run.message) == ("done", 3, "")
    assert amounts(run) == {
        "buyer-0": (D("110.00"), [D("100.00")]),
        "buyer-1": (D("150.00"), [D("180.00")]),
        "buyer-2": (D("100.00"), [D("80.00")]),
    }
    (total,) = run.result["candidates"][0]["totals"]
    assert total == {
        "currency": "USD", "today": "360", "amount": "360", "difference": "0", "percent": "0 %", "more": 1, "less": 2,
        "same": 0, "up": "30", "down": "30", "all_prices": "1", "usage_prices": "1",
    }  # fmt: skip
    assert run.result["candidates"][0]["parts"] == [
        ["USD", "recurring", "platform", "300", "240"], ["USD", "usage", "tokens", "60", "120"],
    ]  # fmt: skip


def test_a_trial_and_the_invoices_say_the_same() -> None:
    make_book([1_234, 7])
    finished = finish(start(make_trial(make_candidate())))
    factories.bill_and_issue("2023-11-01")
    usage = [line.amount for invoice in factories.bill("2023-12-01") for line in invoice.lines.filter(kind="usage")]
    today = [each.today for each in finished.outcomes.order_by("customer__external_id")]
    assert today == [100 + amount for amount in usage]


def test_several_candidates_share_the_questions_to_the_usage() -> None:
    make_book([1_000, 5_000])
    versions = [make_candidate(unit_amount=f"0.0{n}") for n in (2, 3, 4)]

    def queries(*candidates: Any) -> int:
        setup = comparing.setup_of(make_trial(*candidates))
        contracts = list(factories.Contract.objects.order_by("customer_id"))
        comparing.compare(setup, contracts, {})
        with CaptureQueriesContext(connection) as captured:
            comparing.compare(setup, contracts, {})
        return len([each for each in captured if "metering_" in each["sql"]])

    assert queries(versions[0]) == queries(*versions)


def test_a_draft_and_an_edited_copy_are_candidates_too() -> None:
    version = make_book([1_000])
    content = plan_to_json(version)
    content["charges"][0]["prices"][0]["amount"] = "10.00"
    draft = new_version(plan=version.plan, copy_of=version)
    trial = make_trial(candidates=[Given(draft), Given(version, edited=read_plan(content))])
    run = finish(start(trial))
    assert amounts(run)["buyer-0"] == (D("110.00"), [D("110.00"), D("20.00")])
    assert [each.name for each in trial.candidates.all()] == ["Pro v2", "Pro (edited)"]


def test_what_was_frozen_is_rated_whatever_becomes_of_the_draft() -> None:
    version = make_book([1_000])
    draft = new_version(plan=version.plan, copy_of=version)
    trial = make_trial(draft)
    draft.charges.get(code__code="platform").prices.update(price={"model": "flat", "amount": "1.00"})
    draft.charges.all().delete()
    draft.delete()
    assert amounts(finish(start(trial)))["buyer-0"] == (D("110.00"), [D("110.00")])


def test_it_writes_nothing_to_billing() -> None:
    make_book([1_000, 5_000])
    trial = make_trial(make_candidate())
    lab = {"billing_pricetrial", "billing_trialcandidate", "billing_trialrun", "billing_trialoutcome"}
    tables = sorted({model._meta.db_table for model in apps.get_models()} - lab)

    def state() -> list[Any]:
        with connection.cursor() as cursor:
            found = []
            for table in tables:
                cursor.execute(f'SELECT count(*), md5(string_agg(t::text, chr(10) ORDER BY t::text)) FROM "{table}" t')
                found.append((table, *cursor.fetchone()))
        return found

    before = state()
    assert finish(start(trial)).state == "done"
    assert state() == before


def test_a_second_run_stands_beside_the_first() -> None:
    make_book([1_000])
    trial = make_trial(make_candidate())
    first = finish(start(trial))
    factories.send_events(subject="buyer-0", time="2023-11-11T08:00:00Z", data={"tokens": 1_000})
    second = finish(start(trial))
    assert (first.number, second.number) == (1, 2)
    assert (amounts(first)["buyer-0"][0], amounts(second)["buyer-0"][0]) == (D("110.00"), D("120.00"))


def test_a_run_goes_on_where_its_time_was_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "CHUNK", 2)
    make_book([100, 200, 300, 400, 500])
    run = start(make_trial(make_candidate()))
    asked = iter([False, True])
    assert running.run_trial(run_id=run.pk, clock=now, time_is_up=lambda: next(asked)) is True
    run.refresh_from_db()
    assert (run.state, run.done, run.outcomes.count()) == ("running", 2, 2)
    assert (finish(run).done, run.outcomes.count(), run.state) == (5, 5, "done")
    assert run.result["candidates"][0]["totals"][0]["today"] == "515"


def test_a_customer_that_fails_stays_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    make_book([100, 200, 300])
    bad = factories.Contract.objects.get(number="K-001")
    honest = comparing.expected

    def expected(asked: Any) -> Any:
        if any(terms.contract_id == bad.pk for terms, _ in asked):
            raise RuntimeError("a fault")
        return honest(asked)

    monkeypatch.setattr(comparing, "expected", expected)
    run = finish(start(make_trial(make_candidate())))
    assert run.state == "done"
    assert {each.customer.external_id: each.problem for each in run.outcomes.all()} == {
        "buyer-0": "", "buyer-1": "It could not be rated: RuntimeError('a fault')", "buyer-2": "",
    }  # fmt: skip
    assert (run.result["compared"], run.result["problems"]) == (2, 1)
    assert run.result["candidates"][0]["totals"][0]["today"] == "204"


def test_a_customer_without_a_price_in_its_currency_is_listed_with_the_reason() -> None:
    version = factories.make_version(factories.fee(), currencies=("USD", "EUR"))
    for number, currency in enumerate(["USD", "EUR"]):
        contract = factories.make_contract(
            factories.make_customer(f"buyer-{number}"), currency=currency, number=f"K-{number}"
        )
        factories.make_subscription(contract, version)
    candidate = factories.make_version(factories.fee(amount="80.00"))
    run = finish(start(make_trial(candidate)))
    problem = run.outcomes.exclude(problem="").get()
    assert (problem.currency, problem.customer.external_id) == ("EUR", "buyer-1")
    assert problem.problem.startswith("Contract K-1 under Pro v2: “Platform” of Pro v2 has no price in EUR")
    assert run.result["candidates"][0]["totals"][0]["amount"] == "80"


def test_customers_of_a_plan_that_no_candidate_replaces_are_not_rated() -> None:
    make_book([1_000])
    other = factories.make_version(factories.fee("basic"), plan="basic")
    factories.make_subscription(factories.make_contract(factories.make_customer("other")), other)
    candidate = make_candidate()
    assert set(amounts(finish(start(make_trial(candidate))))) == {"buyer-0"}
    whole = make_trial(candidate, replaces=PriceTrial.Replaces.PRODUCT)
    assert amounts(finish(start(whole)))["other"] == (D("100.00"), [D("80.00")])


@pytest.mark.parametrize(
    ("cohort", "expected"),
    [
        (Cohort(), "012"),
        (Cohort(customers=("buyer-1", "buyer-2")), "12"),
        (Cohort(currency="USD"), "012"),
        (Cohort(size_by="revenue", at_least=D("110.01")), "1"),
        (Cohort(size_by="revenue", at_most=D(110)), "02"),
    ],
)
def test_a_cohort_narrows_who_is_rated(cohort: Cohort, expected: str) -> None:
    make_book([1_000, 5_000, 0])
    factories.bill_and_issue("2023-12-01")
    run = finish(start(make_trial(make_candidate(), cohort=cohort)))
    assert sorted(amounts(run)) == [f"buyer-{number}" for number in expected]


def test_a_cohort_by_usage_entity_and_version() -> None:
    version = make_book([1_000, 5_000, 0])
    candidate, meter = make_candidate(), factories.make_meter()
    for cohort in (
        Cohort(size_by="usage", meter=meter.pk, at_least=D(2_000)),
        Cohort(
            size_by="usage",
            meter=meter.pk,
            at_least=D(2_000),
            versions=(version.pk,),
            entity=factories.make_entity().pk,
        ),
    ):
        assert set(amounts(finish(start(make_trial(candidate, cohort=cohort))))) == {"buyer-1"}
    with pytest.raises(NobodyToRate, match="choose other months"):
        start(make_trial(candidate, cohort=Cohort(versions=(candidate.pk,))))
    late = start(make_trial(candidate, cohort=Cohort(size_by="usage", meter=meter.pk, at_least=D(10**9))))
    assert finish(late).state == "failed"
    assert late.message.startswith("No active contract has a subscription")


def test_a_cohort_is_kept_as_it_was_said() -> None:
    cohort = Cohort(versions=(3, 4), currency="EUR", size_by="revenue", at_least=D("1.50"), customers=("a", "b"))
    assert Cohort.from_json(cohort.to_json()) == cohort
    assert Cohort().to_json() == {}


def test_a_cancelled_run_stays_cancelled() -> None:
    make_book([1_000])
    run = start(make_trial(make_candidate()))
    services.cancel_run(run=run, now=NOW)
    assert running.run_trial(run_id=run.pk, clock=now, time_is_up=never) is False
    run.refresh_from_db()
    assert (run.state, run.outcomes.count()) == ("cancelled", 0)
    with pytest.raises(WrongRunState, match="is cancelled, so it cannot be cancelled"):
        services.cancel_run(run=run, now=NOW)


def test_a_run_that_is_cancelled_while_it_works_commits_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "CHUNK", 1)
    make_book([100, 200, 300])
    run = start(make_trial(make_candidate()))

    def cancel_after_the_first() -> bool:
        if TrialRun.objects.get(pk=run.pk).done == 1:
            services.cancel_run(run=run, now=NOW)
        return False

    assert running.run_trial(run_id=run.pk, clock=now, time_is_up=cancel_after_the_first) is False
    run.refresh_from_db()
    assert (run.state, run.done, run.outcomes.count()) == ("cancelled", 1, 1)


def test_a_run_whose_worker_died_is_queued_again() -> None:
    make_book([100])
    run = start(make_trial(make_candidate()))
    queued: list[int] = []
    assert services.queue_waiting(queue=queued.append, now=NOW) == 0
    TrialRun.objects.update(lease="00000000-0000-0000-0000-000000000001", leased_until=NOW - services.leases.LEASE)
    assert services.queue_waiting(queue=queued.append, now=NOW) == 1
    assert queued == [run.pk]
    assert finish(run).state == "done"


def test_inputs_never_change() -> None:
    make_book([100])
    trial = make_trial(make_candidate())
    with pytest.raises(Exception, match="Cannot update"):
        trial.candidates.update(content={})


def test_what_cannot_be_asked_is_refused() -> None:
    version = make_book([100])
    with pytest.raises(NoCandidates):
        make_trial()
    with pytest.raises(LabError, match="at most 5 candidates"):
        make_trial(*[version] * 6)
    with pytest.raises(LabError, match="exchange them"):
        make_trial(version, last_month=NOVEMBER.replace(month=10))
    with pytest.raises(LabError, match="at most 24 months"):
        make_trial(version, last_month=NOVEMBER.replace(year=2025))
    content = plan_to_json(version)
    content["plan"] = {"code": "nowhere", "name": "Nowhere"}
    with pytest.raises(LabError, match="There is no plan 'nowhere'"):
        make_trial(candidates=[Given(edited=read_plan(content))])
    assert PriceTrial.objects.count() == 0
