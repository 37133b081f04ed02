"""The pages of the price lab and of experiments: what they show, who may see them, what they cost."""

import csv
import io
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from billing.catalog.models import PlanVersion
from billing.catalog.plan_files import plan_to_json
from billing.lab import tasks
from billing.lab.experiments.services import start_experiment, subscribe_by_experiment
from billing.lab.models import Experiment, ExperimentAssignment, ExperimentVariant, PriceTrial, TrialRun
from tests import factories
from tests.billing.lab.helpers import NOVEMBER, NOW, finish, make_book, make_candidate, make_trial, start

pytestmark = pytest.mark.django_db
SignIn = Callable[[str], Client]
FILE = Path(__file__).with_name("lab_query_counts.json")
TOKENS = [1_000, 5_000, 0]


@pytest.fixture
def run() -> TrialRun:
    """A finished run with two candidates."""
    make_book(TOKENS)
    return finish(start(make_trial(make_candidate(), make_candidate(unit_amount="0.03"))))


@pytest.fixture
def queued(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The runs that were handed to the worker."""
    found: list[int] = []
    monkeypatch.setattr(tasks, "queue_run", found.append)
    return found


def address(run: TrialRun, page: str, *more: Any) -> str:
    """A page below a run."""
    return reverse(f"admin:billing_pricetrial_{page}", args=[run.trial_id, run.number, *more])


def text_of(response: Any) -> str:
    """The page without runs of white space."""
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


def posted(**fields: Any) -> dict[str, Any]:
    """What the form sends."""
    given = {"name": "Dearer", "first_month": "2023-11", "last_month": "2023-11", "replaces": "plan"}
    return given | fields


def test_it_works(sign_in: SignIn, run: TrialRun) -> None:
    page = text_of(sign_in("admin").get(reverse("admin:billing_pricetrial_change", args=[run.trial_id])))
    assert "Totals of 3 customers" in page
    assert '<td class="num">USD 360.00</td>' in page
    for text in ("Pay more", "Pay less", "By charge", "below −50", "As a table", "Customer buyer-1"):
        assert text in page
    assert "With this few customers, one of them may make the difference." in page


def test_the_second_candidate_has_its_own_figures(sign_in: SignIn, run: TrialRun) -> None:
    page = text_of(
        sign_in("admin").get(reverse("admin:billing_pricetrial_change", args=[run.trial_id]) + "?candidate=2")
    )
    assert "under Pro v3, in percent" in page
    assert "USD +80.00" in page  # 80 + 150 - 150 for the customer of 5,000 tokens


def test_a_trial_is_asked_on_the_page_and_handed_to_the_worker(sign_in: SignIn, queued: list[int]) -> None:
    make_book(TOKENS)
    candidate = make_candidate()
    client = sign_in("admin")
    add = reverse("admin:billing_pricetrial_add")
    assert "Whose usage" in text_of(client.get(f"{add}?version={candidate.pk}"))
    response = client.post(add, posted(versions=[candidate.pk], customers="buyer-1, buyer-0"))
    trial = PriceTrial.objects.get()
    assert response.headers["Location"] == reverse("admin:billing_pricetrial_change", args=[trial.pk])
    assert trial.cohort == {"customers": ["buyer-1", "buyer-0"]}
    assert queued == [TrialRun.objects.get().pk]
    page = text_of(client.get(response.headers["Location"]))
    assert "Waiting for the worker." in page
    assert "with the id buyer-1, buyer-0" in page
    watching = client.get(response.headers["Location"], headers={"HX-Request": "true"})
    assert "HX-Refresh" not in watching.headers
    finish(TrialRun.objects.get())
    assert client.get(response.headers["Location"], headers={"HX-Request": "true"}).headers["HX-Refresh"] == "true"


def test_an_edited_copy_is_tried_and_leaves_the_catalog_alone(sign_in: SignIn, queued: list[int]) -> None:
    version = make_book(TOKENS)
    client, add = sign_in("admin"), reverse("admin:billing_pricetrial_add")
    copied = client.post(add, posted(versions=[version.pk], copy="1"))
    assert json.loads(copied.context["form"].initial["edited"]) == plan_to_json(version)
    content = plan_to_json(version)
    content["charges"][0]["prices"][0]["amount"] = "120.00"
    client.post(add, posted(edited=json.dumps(content), edited_from=version.pk))
    run = finish(TrialRun.objects.get(pk=queued[0]))
    assert run.outcomes.get(customer__external_id="buyer-2").amounts == [Decimal("120.00")]
    assert PlanVersion.objects.count() == 1


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({}, "Choose at least one candidate"),
        ({"edited": "{"}, "This is not JSON"),
        ({"edited": '{"plan": {}}'}, "plan_file"),
        ({"customers": "nobody-1"}, "No customer has the id “nobody-1”."),
        ({"size_by": "usage", "at_least": "1"}, "Choose the meter whose quantity is the size."),
        ({"size_by": "revenue"}, "Give a lower or an upper bound."),
        ({"first_month": "2023-12"}, "exchange them"),
        ({"currency": "EUR"}, "No active contract has a subscription"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_kept(
    sign_in: SignIn, queued: list[int], fields: dict[str, Any], sentence: str
) -> None:
    version = make_book(TOKENS)
    given = posted(**fields) if sentence.startswith("Choose at least") else posted(versions=[version.pk], **fields)
    assert sentence in text_of(sign_in("admin").post(reverse("admin:billing_pricetrial_add"), given))
    assert (PriceTrial.objects.count(), queued) == (0, [])


def test_a_run_is_cancelled_and_another_is_started(sign_in: SignIn, queued: list[int]) -> None:
    make_book(TOKENS)
    run, client = start(make_trial(make_candidate())), sign_in("admin")
    assert "is cancelled" in text_of(client.post(address(run, "cancel"), follow=True))
    run.refresh_from_db()
    assert run.state == "cancelled"
    assert "so it cannot be cancelled" in text_of(client.post(address(run, "cancel"), follow=True))
    again = reverse("admin:billing_pricetrial_run", args=[run.trial_id])
    assert "Run 2" in text_of(client.post(again, follow=True))
    assert client.get(again).status_code == 403
    assert client.get(address(run, "customers")).status_code == 404


def test_a_customer_s_steps_stand_side_by_side(sign_in: SignIn, run: TrialRun) -> None:
    buyer = run.outcomes.get(customer__external_id="buyer-0").customer_id
    page = text_of(sign_in("admin").get(address(run, "customer", buyer)))
    assert "1,000 tokens at USD 0.01" in page
    assert "1,000 tokens at USD 0.02" in page
    assert "From 2 × this usage on (2,000 tokens), the candidate is <strong>dearer</strong>." in page
    assert "Usage or terms have changed" not in page
    factories.send_events(subject="buyer-0", time="2023-11-11T08:00:00Z", data={"tokens": 9})
    assert "Usage or terms have changed since this run" in text_of(
        sign_in("Auditor").get(address(run, "customer", buyer))
    )


def test_all_customers_are_found_and_ordered(sign_in: SignIn, run: TrialRun) -> None:
    client = sign_in("admin")

    def names(query: str) -> list[str]:
        return [row["id"] for row in client.get(address(run, "customers") + query).context["rows"]]

    assert names("") == ["buyer-1", "buyer-0", "buyer-2"]
    assert names("?order=less") == ["buyer-2", "buyer-0", "buyer-1"]
    assert names("?order=nonsense&candidate=99&page=7") == ["buyer-1", "buyer-0", "buyer-2"]
    assert names("?q=buyer-2") == ["buyer-2"]
    assert "No customer of this run is called so." in text_of(client.get(address(run, "customers") + "?q=nobody"))


def test_files_have_every_customer_and_every_charge(sign_in: SignIn, run: TrialRun) -> None:
    client = sign_in("admin")

    def rows(query: str) -> list[dict[str, str]]:
        content = b"".join(client.get(address(run, "file") + query).streaming_content)  # type: ignore[attr-defined]
        return list(csv.DictReader(io.StringIO(content.decode())))

    people, charges = rows(""), rows("?by=charge")
    assert [(row["customer"], row["today"], row["Pro v2: difference"]) for row in people] == [
        ("buyer-0", "110", "-10"), ("buyer-1", "150", "30"), ("buyer-2", "100", "-20"),
    ]  # fmt: skip
    assert sum(Decimal(row["Pro v2"]) for row in charges) == sum(Decimal(row["Pro v2"]) for row in people)


def test_a_failed_run_says_why(sign_in: SignIn) -> None:
    make_book(TOKENS)
    trial = make_trial(make_candidate())
    run = start(trial)
    TrialRun.objects.update(state="running")
    TrialRun.objects.update(state="failed", message="The meter is gone: make it again.")
    page = text_of(sign_in("admin").get(reverse("admin:billing_pricetrial_change", args=[run.trial_id])))
    assert "The meter is gone: make it again." in page
    assert "Run again" in page


def grant(client: Client, *codenames: str) -> Client:
    """The same person, with more permissions."""
    user = User.objects.get(pk=client.session["_auth_user_id"])
    user.user_permissions.add(*Permission.objects.filter(content_type__app_label="billing", codename__in=codenames))
    return client


def test_seeing_and_running_are_permissions_of_their_own(sign_in: SignIn, run: TrialRun, queued: list[int]) -> None:
    buyer = run.outcomes.first().customer_id  # type: ignore[union-attr]
    trial = reverse("admin:billing_pricetrial_change", args=[run.trial_id])
    pages = [trial, address(run, "customers"), address(run, "customer", buyer), address(run, "file")]
    again, add = reverse("admin:billing_pricetrial_run", args=[run.trial_id]), reverse("admin:billing_pricetrial_add")
    nobody = sign_in("nobody")
    assert {nobody.get(page).status_code for page in pages} == {403}
    seeing = grant(nobody, "view_pricetrial")
    assert {seeing.get(page).status_code for page in pages} == {200}
    assert "Run again" not in text_of(seeing.get(trial))
    assert (seeing.post(again).status_code, seeing.get(add).status_code) == (403, 403)
    assert seeing.post(address(run, "cancel")).status_code == 403
    running = grant(seeing, "run_pricetrial", "add_pricetrial")
    assert (running.post(again).status_code, running.get(add).status_code) == (302, 200)


def make_experiment(*, started: bool = True) -> Experiment:
    """Half on each of two versions."""
    control, dear = factories.make_version(factories.fee(), factories.usage()), make_candidate()
    experiment = Experiment.objects.create(code="spring", name="Spring", plan=control.plan, starts_on=NOVEMBER)
    for place, (name, version) in enumerate([("control", control), ("dear", dear)]):
        ExperimentVariant.objects.create(experiment=experiment, position=place, name=name, version=version, share=5_000)
    return start_experiment(experiment=experiment, now=NOW) if started else experiment


def assign(experiment: Experiment, count: int) -> None:
    """So many new contracts."""
    for number in range(count):
        contract = factories.make_contract(factories.make_customer(f"new-{number}"), number=f"N-{number}")
        subscribe_by_experiment(contract=contract, experiment=experiment, code="main", start=NOVEMBER, now=NOW)


def press(client: Client, experiment: Experiment, button: str, **fields: Any) -> Any:
    """A dialog of the experiment's page, submitted."""
    url = reverse(f"admin:billing_experiment_{button}", args=[experiment.pk])
    return client.post(url, {"_form_submitted": "True", **fields})


def test_an_experiment_is_started_used_and_stopped_on_its_page(sign_in: SignIn) -> None:
    experiment, client = make_experiment(started=False), sign_in("admin")
    page = reverse("admin:billing_experiment_change", args=[experiment.pk])
    assert "Start" in text_of(client.get(page))
    press(client, experiment, "start")
    experiment.refresh_from_db()
    assert experiment.state == "running"
    assert "No contract is in it yet" in text_of(client.get(page))
    factories.make_contract(number="N-1")
    press(client, experiment, "assign", contract="N-1", code="main", start="2023-11-01", quantity="1")
    assert ExperimentAssignment.objects.get().contract.number == "N-1"
    shown = text_of(client.get(page))
    assert "Some variant has fewer than 30 contracts" in shown
    assert "All 1 assignments follow from the contracts' numbers" in shown
    press(client, experiment, "stop", reason="Enough seen")
    assert "Enough seen" in text_of(client.get(page))
    assert reverse("admin:billing_experiment_assign", args=[experiment.pk]) not in text_of(client.get(page))


def test_experiments_need_their_permissions(sign_in: SignIn) -> None:
    experiment, client = make_experiment(), sign_in("nobody")
    page = reverse("admin:billing_experiment_change", args=[experiment.pk])
    assert client.get(page).status_code == 403
    grant(client, "view_experiment")
    shown = text_of(client.get(page))
    assert reverse("admin:billing_experiment_assign", args=[experiment.pk]) not in shown
    assert press(client, experiment, "stop", reason="x").status_code == 403
    experiment.refresh_from_db()
    assert experiment.state == "running"


@pytest.mark.parametrize("many", [3, 25])
def test_query_counts_are_the_committed_ones(sign_in: SignIn, many: int) -> None:
    make_book([100 * n for n in range(many)])
    candidate = make_candidate()
    run = finish(start(make_trial(candidate)))
    for _ in range(many):
        make_trial(candidate)
    experiment = make_experiment()
    assign(experiment, many)
    trial = reverse("admin:billing_pricetrial_change", args=[run.trial_id])
    pages = {
        "trials": reverse("admin:billing_pricetrial_changelist"),
        "trial": trial,
        "new trial": reverse("admin:billing_pricetrial_add"),
        "customers of a trial": address(run, "customers"),
        "customer of a trial": address(run, "customer", run.outcomes.earliest("pk").customer_id),
        "experiments": reverse("admin:billing_experiment_changelist"),
        "experiment": reverse("admin:billing_experiment_change", args=[experiment.pk]),
    }
    client, counts = sign_in("admin"), {}
    for name, url in pages.items():
        client.get(url)  # the first visit fills caches
        with CaptureQueriesContext(connection) as queries:
            assert client.get(url).status_code == 200
        counts[name] = len(queries)
    assert counts == json.loads(FILE.read_text())
