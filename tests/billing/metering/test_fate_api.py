"""`GET /api/v1/events/{source}/{id}`: what became of an event, however its source is written."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection
from django.test import Client

from billing.metering.corrections.models import Correction, VoidedEvent
from billing.metering.models import Event
from billing.metering.services import create_api_key, ingest
from customers.models import UsageSubject
from tests import factories

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


@pytest.fixture
def secret() -> str:
    return create_api_key(name="Gateway", default_source="app", user=None, now=NOW, scopes=["read"])[1]


def record(id: str = "1", source: str = "app", **fields: Any) -> None:
    event = {"id": id, "source": source, "subject": "acme", "time": "2026-03-05T00:00:00Z", "data": {"tokens": 5}}
    assert factories.send_events([event | fields], now=NOW).accepted == 1


def get(secret: str | None, path: str, **parameters: str) -> Any:
    headers = {"Authorization": f"Bearer {secret}"} if secret else {}
    return Client().get(f"/api/v1/events{path}", parameters, headers=headers)


def test_it_works(secret: str) -> None:
    factories.make_customer("acme")
    factories.make_meter()
    factories.make_meter("calls", aggregation="count", value="", filters={"region": ["eu"]})
    factories.make_meter("seconds", value="seconds")
    factories.make_meter("elsewhere", event_type="other")
    record(data={"tokens": 5})
    answer = get(secret, "/app/1").json()
    meters = answer.pop("meters")
    batch = Event.objects.get().batch_id
    assert answer == {
        "source": "app", "id": "1", "type": "inference", "subject": "acme", "time": "2026-03-05T00:00:00Z",
        "data": {"tokens": 5}, "state": "stored", "note": "The event is stored.",
        "recorded_at": "2026-03-10T12:00:00Z", "batch": batch, "origin": "test", "api_key": None, "voided": None,
        "conflicts": 0,
        "customer": {"external_id": "acme", "name": "Customer acme", "claimed_from": None, "claimed_until": None},
    }  # fmt: skip
    assert [(each["meter"], each["counts"], each["value"]) for each in meters] == [
        ("calls", False, None),
        ("seconds", False, None),
        ("tokens", True, "5"),
    ]
    assert meters[0]["reason"] == "The meter’s filters leave the event out."
    assert "seconds" in meters[1]["reason"]
    assert meters[2]["reason"] is None


def test_the_key_that_sent_it_and_the_conflicts_are_named(secret: str) -> None:
    key, _ = create_api_key(name="Sender", default_source="app", user=None, now=NOW)
    for n in (1, 2):
        body = b'{"id": "1", "type": "t", "subject": "s", "data": {"n": %d}}' % n
        ingest(events=body, origin="api", key=key, now=NOW)
    answer = get(secret, "/app/1").json()
    assert (answer["origin"], answer["api_key"], answer["conflicts"], answer["data"]) == ("api", "Sender", 1, {"n": 1})


def test_numbers_come_back_exactly(secret: str) -> None:
    ingest(events=b'{"id": "1", "type": "t", "subject": "s", "data": {"n": 12345678901234567.123456789}}',
           origin="api", default_source="app", now=NOW)  # fmt: skip
    assert b"12345678901234567.123456789" in get(secret, "/app/1").content


def test_whose_event_it_is_depends_on_the_time(secret: str) -> None:
    customer = factories.make_customer("acme", subject="elsewhere")
    record()
    assert get(secret, "/app/1").json()["customer"] is None
    UsageSubject.objects.create(customer=customer, subject="acme", valid_to=datetime(2026, 3, 5, tzinfo=UTC))
    assert get(secret, "/app/1").json()["customer"] is None
    UsageSubject.objects.create(customer=customer, subject="acme", valid_from=datetime(2026, 3, 5, tzinfo=UTC))
    found = get(secret, "/app/1").json()["customer"]
    assert (found["external_id"], found["claimed_from"]) == ("acme", "2026-03-05T00:00:00Z")


def test_an_event_taken_back_says_why(secret: str) -> None:
    factories.make_meter()
    record()
    event = Event.objects.get()
    correction = Correction.objects.create(
        kind="void", reason="A test run.", created_at=NOW, batch=event.batch_id, events=1
    )
    VoidedEvent.objects.create(batch=event.batch_id, n=event.n, correction=correction)
    answer = get(secret, "/app/1").json()
    assert (answer["state"], answer["voided"]["reason"]) == ("voided", "A test run.")
    assert [(each["counts"], each["reason"]) for each in answer["meters"]] == [(False, answer["note"])]


def test_an_event_whose_month_was_taken_out_says_so(secret: str) -> None:
    factories.make_meter()
    record()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE metering_event DETACH PARTITION metering_event_2026_03")
    answer = get(secret, "/app/1").json()
    assert (answer["state"], answer["data"], answer["batch"], answer["subject"]) == ("archived", None, None, "acme")
    assert "restore the month" in answer["note"]
    assert answer["meters"][0]["counts"] is False


@pytest.mark.parametrize("source", ["/gateway", "https://a.example/x", "a/b", "a b", "é%2F", "a?b&c=d"])
@pytest.mark.parametrize("id", ["1", "x/y", "/", "ü", "%", "batch"])
def test_sources_and_ids_of_any_kind_are_found(secret: str, source: str, id: str) -> None:
    record(id, source)
    wanted = (200, source, id)
    for path in (f"/{quote(source, safe='')}/{quote(id, safe='')}", f"/{quote(source)}/{quote(id)}"):
        answer = get(secret, path)
        assert (answer.status_code, answer.json()["source"], answer.json()["id"]) == wanted
    answer = get(secret, "", source=source, id=id)
    assert (answer.status_code, answer.json()["source"], answer.json()["id"]) == wanted


def test_an_address_that_means_two_events_is_said_to(secret: str) -> None:
    record("c", "a/b")
    record("b/c", "a")
    answer = get(secret, "/a/b/c")
    assert (answer.status_code, answer.json()["code"]) == (409, "ambiguous_address")
    assert get(secret, "", source="a", id="b/c").json()["id"] == "b/c"


@pytest.mark.parametrize("path", ["/app/2", "/nobody/1", "/app", "/app/", "//", "/%00/%00", "/a/%FF"])
def test_an_event_that_never_came_is_404(secret: str, path: str) -> None:
    record()
    answer = get(secret, path)
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_event")


def test_parameters_are_checked(secret: str) -> None:
    assert get(secret, "", source="app").json()["code"] == "missing_id"
    assert get(secret, "", source="app", id="\0").json()["code"] == "nul_character"
    assert get(secret, "", source="app", id="1", x="1").json()["code"] == "unknown_parameter"
    assert get(secret, "").status_code == 405
    assert get(None, "/app/1").status_code == 401
    assert Client().post("/api/v1/events/app/1").status_code == 405


def test_asking_makes_no_source(secret: str) -> None:
    get(secret, "/never-heard-of/1")
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM metering_source")
        assert cursor.fetchone() == (0,)
