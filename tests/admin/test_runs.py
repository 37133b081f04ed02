"""The pages of runs and holds: who may, what they show first, what a second click does, and what they cost."""

from collections.abc import Callable
from datetime import UTC, date, datetime

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from billing.invoicing import tasks
from billing.invoicing.holds.models import Hold
from billing.invoicing.models import BillingRun, Invoice
from billing.invoicing.runs import working
from billing.invoicing.services import request_run, run_billing
from config import clock
from customers.backoffice import change_url, list_url
from customers.models import Contract
from tests.factories import fee, make_contract, make_customer, make_subscription, make_version, send_events, usage

pytestmark = pytest.mark.django_db
NOW = datetime(2023, 12, 1, 12, tzinfo=UTC)
DECEMBER = date(2023, 12, 1)


@pytest.fixture(autouse=True)
def _in_december(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pages ask what time it is."""
    monkeypatch.setattr(clock, "now", lambda: NOW)


@pytest.fixture
def biller(db: None) -> Client:
    """Somebody who runs billing and releases holds."""
    user = User.objects.create_user("bea", password="x", is_staff=True)
    names = ["view_billingrun", "start_billingrun", "view_hold", "release_hold", "view_contract"]
    user.user_permissions.add(*Permission.objects.filter(codename__in=names))
    client = Client()
    client.force_login(user)
    return client


def make_book(good: int = 2, bad: int = 1) -> list[Contract]:
    """Customers with readable usage, and others without; those with come first."""
    version = make_version(fee(), usage())
    found = []
    for number in range(good + bad):
        contract = make_contract(make_customer(f"buyer-{number}"), number=f"K-{number:03d}")
        make_subscription(contract, version)
        tokens = 5 if number < good else "many"
        send_events(subject=f"buyer-{number}", time="2023-11-10T12:00:00Z", data={"tokens": tokens}, now=NOW)
        found.append(contract)
    return found


def step(client: Client, run: BillingRun, button: str) -> str:
    """Press a button on the page of a run; the messages that follow."""
    answer = client.post(reverse("admin:billing_billingrun_step", args=[run.pk]), {button: "1"}, follow=True)
    return " ".join(str(each) for each in answer.context["messages"])


def test_it_works(biller: Client) -> None:
    """The troubles stand first with the way out; a release bills the customer; the contract tells its outcome."""
    make_book()
    run = run_billing(as_of=DECEMBER, now=NOW)
    page = biller.get(change_url(run)).content.decode()
    assert "Done with problems" in page
    assert "K-002" in page
    assert "K-000" not in page
    hold = Hold.objects.get()
    assert change_url(hold) in page
    assert "hx-trigger" not in page.split('id="run"')[1][:200]
    everything = biller.get(f"{change_url(run)}?show=").content.decode()
    assert everything.index("K-002") < everything.index("K-000")
    answer = biller.post(
        reverse("admin:billing_hold_release", args=[hold.pk]), {"_form_submitted": "True", "reason": "A test of theirs"}
    )
    again = BillingRun.objects.latest("pk")
    assert answer["HX-Redirect"] == change_url(again)
    assert again.outcomes.get().result == "drafted"
    hold.refresh_from_db()
    assert (str(hold.released_by), hold.released_why) == ("bea", "A test of theirs")
    contract = biller.get(change_url(Contract.objects.get(number="K-002"))).content.decode()
    assert change_url(again) in contract
    assert change_url(Invoice.objects.get(contract__number="K-002")) in contract


def test_a_run_that_goes_on_refreshes_itself_and_can_be_cancelled_once(biller: Client) -> None:
    make_book()
    run = request_run(as_of=DECEMBER, now=NOW)
    page = biller.get(change_url(run)).content.decode()
    assert 'hx-trigger="every 1s"' in page
    assert "0 of 3 contracts" in page
    assert "Cancelled: what was drafted so far stands" in step(biller, run, "cancel")
    assert "there is nothing left to cancel" in step(biller, run, "cancel")
    working.work(run_id=run.pk, clock=lambda: NOW)
    assert Invoice.objects.count() == 0
    assert "before it was cancelled" in biller.get(change_url(run)).content.decode()


def test_what_was_held_or_failed_is_billed_again_in_a_run_of_its_own(biller: Client) -> None:
    make_book(good=1, bad=2)
    run = run_billing(as_of=DECEMBER, now=NOW)
    step(biller, run, "repeat")
    again = BillingRun.objects.latest("pk")
    assert (again.again, again.contracts, again.outcomes.filter(result="held").count()) == (run, 2, 2)
    assert f"Run {run.pk}" in biller.get(change_url(again)).content.decode()
    fine = run_billing(as_of=DECEMBER, now=NOW, contract_ids=[Contract.objects.get(number="K-000").pk])
    assert "nothing to bill again" in step(biller, fine, "repeat")


def test_many_contracts_are_left_to_the_workers(biller: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    make_book()
    queued: list[int] = []
    monkeypatch.setattr("billing.invoicing.run_admin.AT_ONCE", 1)
    monkeypatch.setattr(tasks, "queue_run", queued.append)
    biller.post(reverse("admin:billing_billingrun_start"), {"_form_submitted": "True", "as_of": "2023-12-01"})
    run = BillingRun.objects.get()
    assert (run.state, queued) == ("queued", [run.pk])
    tasks.work(run.pk)
    run.refresh_from_db()
    assert run.state == "problems"


def test_who_may_not_start_runs_or_release_holds_is_refused(sign_in: Callable[[str], Client]) -> None:
    make_book()
    run = run_billing(as_of=DECEMBER, now=NOW)
    auditor = sign_in("Auditor")
    assert auditor.get(change_url(run)).status_code == 200
    assert auditor.post(reverse("admin:billing_billingrun_step", args=[run.pk]), {"repeat": "1"}).status_code == 403
    url = reverse("admin:billing_hold_release", args=[Hold.objects.get().pk])
    assert auditor.post(url, {"_form_submitted": "True", "reason": "Please"}).status_code == 403
    assert sign_in("nobody").get(change_url(run)).status_code == 403


def test_the_list_of_holds_shows_those_that_stand_and_what_they_come_to(biller: Client) -> None:
    make_book(good=0, bad=2)
    run_billing(as_of=DECEMBER, now=NOW)
    page = biller.get(list_url(Hold)).content.decode()
    assert "<strong>USD 400.00</strong>" in page
    assert "of 2 contracts" in page
    assert page.count("Unreadable usage") >= 2
    Hold.objects.update(ended_at=NOW)
    assert "Nothing is held" in biller.get(list_url(Hold)).content.decode()
    assert biller.get(f"{list_url(Hold)}?standing=ended").context["cl"].result_count == 2


def test_the_pages_cost_the_same_however_many_contracts_there_are(biller: Client) -> None:
    counts = []
    for _ in range(2):
        make_book(good=2, bad=2) if not counts else run_billing(as_of=DECEMBER, now=NOW)
        run = run_billing(as_of=DECEMBER, now=NOW)
        for url in (f"{change_url(run)}?show=", list_url(Hold), list_url(BillingRun)):
            biller.get(url)
            with CaptureQueriesContext(connection) as queries:
                assert biller.get(url).status_code == 200
            counts.append(len(queries))
        if len(counts) == 3:
            for number in range(4, 9):
                contract = make_contract(make_customer(f"buyer-{number}"), number=f"K-{number:03d}")
                make_subscription(contract)
    assert counts[:3] == counts[3:]
    assert max(counts) <= 12
