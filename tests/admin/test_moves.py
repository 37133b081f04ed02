"""The pages of moves: who may, what they show, what a second click does, and what they cost."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from billing.moves import tasks
from billing.moves.models import Move
from config import clock
from tests import factories
from tests.admin.conftest import ROLES
from tests.billing.moves.helpers import cancelled, previewed, scheduled, work
from tests.factories import fee, make_contract, make_customer, make_subscription, make_version, usage

pytestmark = pytest.mark.django_db
NOW = datetime(2024, 2, 10, 12, tzinfo=UTC)
ADD = "admin:billing_move_add"


@pytest.fixture(autouse=True)
def _in_2024(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pages ask what time it is; the worker's part is done by the tests."""
    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setattr(tasks, "queue", lambda move_id: None)


@pytest.fixture
def mover(db: None) -> Client:
    """Somebody who may look at moves and move subscribers, and nothing else."""
    user = User.objects.create_user("mara", password="x", is_staff=True)
    names = ["view_move", "move_subscribers", "view_planversion", "view_plan"]
    user.user_permissions.add(*Permission.objects.filter(codename__in=names))
    client = Client()
    client.force_login(user)
    return client


def make_plan(customers: int = 3) -> Any:
    """Two versions of a plan, and customers on the old one; one of them in a currency that the new one lacks."""
    old = make_version(fee(), usage(), currencies=["USD", "EUR"])
    new = make_version(fee(amount="120.00"), usage(model="per_unit", unit_amount="0.02"))
    for number in range(customers):
        make_subscription(make_contract(make_customer(f"buyer-{number}"), number=f"K-{number:03d}"), old)
    make_subscription(make_contract(make_customer("euro"), currency="EUR"), old)
    factories.send_events(
        [
            {"subject": f"buyer-{n}", "time": "2024-01-10T08:00:00Z", "data": {"tokens": 100 * n}}
            for n in range(customers)
        ],
        now=NOW,
    )
    return old, new


def choice(old: Any, **fields: Any) -> dict[str, Any]:
    return {
        "token": str(uuid4()),
        "versions": [old.pk],
        "own_terms": "keep",
        "kind": "date",
        "day": "2024-03-01",
    } | fields


def row_page(move: Move) -> str:
    return reverse("admin:billing_move_row", args=[move.pk, move.rows.order_by("pk").first().pk])  # type: ignore[union-attr]


def page(move: Move) -> str:
    return reverse("admin:billing_move_change", args=[move.pk])


def step(move: Move) -> str:
    return reverse("admin:billing_move_step", args=[move.pk])


def test_it_works(mover: Client) -> None:
    old, new = make_plan()
    button = reverse("admin:billing_planversion_move_subscribers", args=[new.pk])
    form = mover.get(button, follow=True)
    assert form.redirect_chain[-1][0] == f"{reverse(ADD)}?version={new.pk}"
    assert "Pro v1: 4 now" in form.content.decode()
    made = mover.post(f"{reverse(ADD)}?version={new.pk}", choice(old))
    move = Move.objects.get()
    assert made["Location"] == page(move)
    assert "Computing the preview: 0 %" in mover.get(page(move)).content.decode()
    work(move)
    text = mover.get(page(move)).content.decode()
    assert "Schedule 3 subscriptions" in text
    assert "USD 903.00" in text
    assert "USD +183.00" in text
    assert "“Platform” of Pro v2 has no price in EUR" in mover.get(page(move) + "?show=left_out").content.decode()
    mover.post(step(move), {"schedule": "1", "reason": "New prices"})
    move = work(move)
    assert (move.state, move.reason, move.scheduled_by.username) == ("scheduled", "New prices", "mara")  # type: ignore[union-attr]
    assert "USD 0.02 per token" in mover.get(row_page(move)).content.decode()
    mover.post(step(move), {"cancel": "1", "reason": "Not yet"})
    move = work(move)
    assert move.state == "cancelled"
    assert "Cancelled before" not in mover.get(page(move)).content.decode()


def test_the_plan_offers_its_published_versions(mover: Client) -> None:
    _, new = make_plan(1)
    found = mover.get(reverse("admin:billing_plan_move_subscribers", args=[new.plan_id]), follow=True)
    assert [str(each) for each in found.context["versions"]] == ["Pro v2", "Pro v1"]


def test_the_button_is_there_for_a_published_version_and_who_may(
    mover: Client, sign_in: Callable[[str], Client]
) -> None:
    _, new = make_plan(1)
    draft = factories.new_version(plan=new.plan, copy_of=new)
    shown = reverse("admin:billing_planversion_change", args=[new.pk])
    assert "Move subscribers" in mover.get(shown).content.decode()
    assert "Move subscribers" not in sign_in("Auditor").get(shown).content.decode()
    drafted = reverse("admin:billing_planversion_change", args=[draft.pk])
    assert "Move subscribers" not in mover.get(drafted).content.decode()
    assert "New version from this" in sign_in("admin").get(shown).content.decode()


@pytest.mark.parametrize("role", [*ROLES, "nobody"])
def test_without_the_permission_nobody_is_moved(role: str, sign_in: Callable[[str], Client]) -> None:
    old, new = make_plan(1)
    move = previewed(new, old)
    User.objects.filter(username=role.lower()).delete()
    client = sign_in(role)
    user = User.objects.get(username=role.lower())
    if user.has_perm("billing.move_subscribers"):
        user.groups.clear()
    assert client.get(reverse(ADD)).status_code == 403
    assert client.post(step(move), {"schedule": "1", "reason": "x"}).status_code == 403
    assert client.post(row_page(move)).status_code == 403
    assert Move.objects.get().state == "draft"


def test_a_second_click_and_a_second_tab_do_nothing_more(mover: Client) -> None:
    old, new = make_plan(1)
    sent = choice(old)
    for _ in range(2):
        mover.post(f"{reverse(ADD)}?version={new.pk}", sent)
    move = work(Move.objects.get())
    for _ in range(2):
        mover.post(step(move), {"schedule": "1", "reason": "x"})
    move = work(move)
    assert mover.post(step(move), {"discard": "1"}, follow=True).status_code == 200
    assert Move.objects.get().state == "scheduled"
    for _ in range(2):
        mover.post(row_page(move))
    assert Move.objects.get().state == "cancelled"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"versions": []}, "Choose the versions whose subscribers are to be moved."),
        ({"day": ""}, "Choose the day on which they move."),
        ({"day": "soon"}, "Enter a valid date."),
        ({"currency": "EUR", "countries": "fr"}, "Nobody meets this choice: widen it."),
        ({"started_from": "2024-02-01", "started_before": "2024-01-01"}, "No contract starts on or after"),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_nothing_is_saved(
    fields: dict[str, Any], message: str, mover: Client
) -> None:
    old, new = make_plan(1)
    answer = mover.post(f"{reverse(ADD)}?version={new.pk}", choice(old, **fields))
    assert answer.status_code == 200
    assert message in answer.content.decode()
    assert not Move.objects.exists()


def test_a_missing_reason_leaves_the_draft_a_draft(mover: Client) -> None:
    old, new = make_plan(1)
    move = previewed(new, old)
    answer = mover.post(step(move), {"schedule": "1", "reason": " "}, follow=True)
    assert "Say why they are moved" in answer.content.decode()
    assert Move.objects.get().state == "draft"


def test_rows_are_sorted_found_and_downloaded(mover: Client) -> None:
    old, new = make_plan(3)
    make_subscription(make_contract(make_customer("formula", legal_name="=1+1")), old)
    move = previewed(new, old)

    def customers(query: str) -> list[str]:
        return [row["customer"].external_id for row in mover.get(page(move) + query).context["table"]["rows"]]

    assert customers("") == ["buyer-2", "buyer-1", "buyer-0", "formula"]
    assert customers("?sort=customer")[0] == "formula"
    assert customers("?q=k-001") == ["buyer-1"]
    assert customers("?sort=nonsense&page=99&show=nonsense&currency=USD")[0] == "buyer-2"
    answer = mover.get(reverse("admin:billing_move_file", args=[move.pk]))
    lines = b"".join(answer.streaming_content).decode().splitlines()  # type: ignore[attr-defined]
    assert lines[1].startswith("buyer-2,Customer buyer-2,K-002,main,Pro v1,Pro v2,2024-03-01,To be moved,USD,302,")
    assert any("'=1+1" in line for line in lines)
    assert sum("has no price in EUR" in line for line in lines) == 1


def test_a_failure_is_shown_and_gone_on_from(mover: Client) -> None:
    old, new = make_plan(1)
    move = previewed(new, old)
    Move.objects.update(work="preview", failure="OperationalError: the disk is full")
    assert "stopped: OperationalError: the disk is full" in mover.get(page(move)).content.decode()
    mover.post(step(move), {"go_on": "1"})
    assert (Move.objects.get().failure, Move.objects.get().work) == ("", "preview")


def test_the_list_tells_how_each_stands(mover: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = make_plan(1)
    previewed(new, old)
    cancelled(scheduled(new, old))
    scheduled(new, old)
    monkeypatch.setattr(clock, "now", lambda: datetime(2024, 3, 2, tzinfo=UTC))
    found = mover.get(reverse("admin:billing_move_changelist"))
    text = found.content.decode()
    assert all(f">{word}</span>" in text for word in ("Draft", "Cancelled", "In effect"))
    for standing, n in (("draft", 1), ("scheduled", 0), ("in_effect", 1), ("cancelled", 1)):
        shown = mover.get(reverse("admin:billing_move_changelist") + f"?standing={standing}")
        assert shown.context["cl"].result_count == n


@pytest.mark.parametrize("customers", [3, 60])
def test_pages_cost_the_same_number_of_queries_with_few_customers_and_with_many(customers: int, mover: Client) -> None:
    old, new = make_plan(customers)
    move = previewed(new, old)
    counts = {}
    for name, url in {
        "list": reverse("admin:billing_move_changelist"), "form": f"{reverse(ADD)}?version={new.pk}",
        "move": page(move), "left out": page(move) + "?show=left_out", "customer": row_page(move),
    }.items():  # fmt: skip
        mover.get(url)
        with CaptureQueriesContext(connection) as queries:
            assert mover.get(url).status_code == 200
        counts[name] = len(queries)
    assert counts == {"list": 7, "form": 9, "move": 16, "left out": 16, "customer": 19}
