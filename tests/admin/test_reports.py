"""Conflicts and rejections in the back office: both contents side by side, and nothing to edit."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from billing.metering.models import ApiKey
from billing.metering.reports.models import EventConflict, EventReject
from billing.metering.services import create_api_key, ingest

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 10, 12, 30, tzinfo=UTC)
LISTS = ("billing_eventconflict", "billing_eventreject")


def send(key: ApiKey, body: str, minutes: int = 0) -> None:
    ingest(events=body.encode(), origin="api", key=key, now=NOW + timedelta(minutes=minutes))


@pytest.fixture
def sent(db: None) -> SimpleNamespace:
    key, _ = create_api_key(name="Gateway", default_source="gateway", user=None, now=NOW)
    head = '{"id": "req-1", "type": "call", "subject": "acme", '
    send(key, head + '"time": "2026-03-01T00:00:00Z", "data": {"n": 12345678901234567.123, "same": 1.0, "gone": "x"}}')
    send(key, head + '"data": {"n": 12345678901234567.124, "same": 1, "new": [1, {"a": null}]}}', 5)
    send(key, '{"id": "<b>", "type": "call", "data": {"x": "<script>"}}')
    return SimpleNamespace(key=key, conflict=EventConflict.objects.get(), reject=EventReject.objects.get())


def test_it_works(sent: SimpleNamespace, sign_in: Any) -> None:
    client = sign_in("admin")
    page = client.get(reverse("admin:billing_eventconflict_changelist")).content.decode()
    for expected in ("req-1", "gateway", "Gateway", "2026-03-10 12:35:00"):
        assert expected in page
    page = client.get(reverse("admin:billing_eventreject_changelist")).content.decode()
    for expected in ("2026-03-10 12:00", "missing_subject", "The event has no subject", "Gateway"):
        assert expected in page


def test_a_conflict_shows_what_differs_exactly(sent: SimpleNamespace, sign_in: Any) -> None:
    answer = sign_in("admin").get(reverse("admin:billing_eventconflict_change", args=[sent.conflict.pk]))
    rows = {row.name: (row.stored, row.sent, row.differs) for row in answer.context["rows"]}
    assert rows == {
        "type": ("call", "call", False),
        "subject": ("acme", "acme", False),
        "time": ("2026-03-01 00:00:00+00:00", "left out", True),
        "data.n": ("12345678901234567.123", "12345678901234567.124", True),
        "data.same": ("1.0", "1", False),
        "data.gone": ("x", "", True),
        "data.new": ("", '[1,{"a":null}]', True),
    }
    assert answer.content.decode().count("Differs") == 4


def test_a_conflict_whose_month_was_taken_out_says_so(sent: SimpleNamespace, sign_in: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE metering_event DETACH PARTITION metering_event_2026_03")
    answer = sign_in("admin").get(reverse("admin:billing_eventconflict_change", args=[sent.conflict.pk]))
    assert "was taken out of the database" in answer.content.decode()


def test_a_number_of_5000_digits_breaks_no_page(sent: SimpleNamespace, sign_in: Any) -> None:
    digits = "7" * 5000
    send(sent.key, '{"id": "req-1", "type": "call", "subject": "acme", "data": {"n": [0]}}'.replace("0", digits))
    client, latest = sign_in("admin"), EventConflict.objects.defer("sent").latest("pk")
    assert client.get(reverse("admin:billing_eventconflict_changelist")).status_code == 200
    page = client.get(reverse("admin:billing_eventconflict_change", args=[latest.pk]))
    assert digits in page.content.decode()


def test_a_rejection_shows_its_example_as_text(sent: SimpleNamespace, sign_in: Any) -> None:
    answer = sign_in("admin").get(reverse("admin:billing_eventreject_change", args=[sent.reject.pk]))
    assert "&lt;script&gt;" in answer.content.decode()
    assert '"x": "<script>"' not in answer.content.decode()


@pytest.mark.parametrize("name", LISTS)
def test_an_empty_list_says_where_its_rows_come_from(name: str, sign_in: Any) -> None:
    assert "So far none w" in sign_in("admin").get(reverse(f"admin:{name}_changelist")).content.decode()


@pytest.mark.parametrize("name", LISTS)
def test_nothing_can_be_added_changed_or_deleted(name: str, sent: SimpleNamespace, sign_in: Any) -> None:
    client, row = sign_in("admin"), sent.conflict if "conflict" in name else sent.reject
    assert client.get(reverse(f"admin:{name}_add")).status_code == 403
    assert client.post(reverse(f"admin:{name}_change", args=[row.pk]), {"count": 5}).status_code == 403
    assert client.post(reverse(f"admin:{name}_delete", args=[row.pk]), {"post": "yes"}).status_code == 403


@pytest.mark.parametrize("name", LISTS)
def test_only_who_may_view_them_sees_them(name: str, sent: SimpleNamespace, sign_in: Any) -> None:
    row = sent.conflict if "conflict" in name else sent.reject
    pages = [reverse(f"admin:{name}_changelist"), reverse(f"admin:{name}_change", args=[row.pk])]
    nobody = sign_in("nobody")
    assert [nobody.get(page).status_code for page in pages] == [403, 403]
    user = User.objects.create_user("viewer", password="x", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename=f"view_{name.removeprefix('billing_')}"))
    viewer = Client()
    viewer.force_login(user)
    assert [viewer.get(page).status_code for page in pages] == [200, 200]


def test_queries_do_not_grow_with_rows(sent: SimpleNamespace, sign_in: Any) -> None:
    client = sign_in("admin")

    def counts() -> list[int]:
        found = []
        for name in LISTS:
            client.get(reverse(f"admin:{name}_changelist"))
            with CaptureQueriesContext(connection) as captured:
                assert client.get(reverse(f"admin:{name}_changelist")).status_code == 200
            found.append(len(captured))
        return found

    few = counts()
    for n in range(20):
        key, _ = create_api_key(name=f"key {n}", default_source=f"source {n}", user=None, now=NOW)
        send(key, '{"id": "1", "type": "call", "subject": "a"}')
        send(key, '{"id": "1", "type": "call", "subject": "b"}')
        send(key, "[1]", minutes=60 * n)
    assert counts() == few
