"""CloudEvents 1.0 sent to `POST /api/v1/events`: structured, batched, and binary."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db.models import TextField
from django.db.models.functions import Cast
from django.test import Client

from billing.metering.models import Event
from billing.metering.services import create_api_key
from config import clock

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
EVENT = {"specversion": "1.0", "id": "1", "source": "/gateway", "type": "call", "subject": "acme", "data": {"n": 1}}
ONE = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
HEADERS = {f"ce-{name}": str(value) for name, value in EVENT.items() if name != "data"}


@pytest.fixture
def secret() -> str:
    return create_api_key(name="app", default_source="app", user=None, now=NOW)[1]


def post(secret: str, body: Any, content_type: str, **headers: str) -> Any:
    content = body if isinstance(body, bytes) else json.dumps(body)
    with clock.set_to(NOW):
        return Client().post(
            "/api/v1/events", content, content_type, headers={"Authorization": f"Bearer {secret}"} | headers
        )


def binary(secret: str, body: bytes = b'{"n": 1}', content_type: str = "application/json", **changed: Any) -> Any:
    headers = HEADERS | {f"ce-{name}": value for name, value in changed.items()}
    given = {name: value for name, value in headers.items() if value is not None}
    return post(secret, body, content_type, **given)


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in EVENT.items() if key != name}


def test_it_works(secret: str) -> None:
    answer = post(secret, EVENT | {"time": "2026-03-01T11:00:00Z", "comexampleextension": 7}, ONE)
    assert (answer.status_code, answer.content) == (204, b"")
    event = Event.objects.select_related("source", "type", "subject").get()
    assert (event.source.name, event.type.name, event.subject.name) == ("/gateway", "call", "acme")
    assert (event.ts, event.data) == (datetime(2026, 3, 1, 11, tzinfo=UTC), {"n": 1})


def test_the_three_ways_and_plain_json_are_the_same_event(secret: str) -> None:
    assert post(secret, EVENT, f"{ONE}; charset=UTF-8").status_code == 204
    assert post(secret, [EVENT, EVENT | {"specversion": "1.0"}], BATCH).status_code == 204
    assert binary(secret).status_code == 204
    assert binary(secret, content_type="application/json; charset=utf-8").status_code == 204
    assert post(secret, EVENT, "application/json").json()["duplicates"] == 1
    assert Event.objects.count() == 1


@pytest.mark.parametrize("name", ["specversion", "id", "source", "type", "subject"])
def test_a_missing_attribute_is_named(secret: str, name: str) -> None:
    for answer in (
        post(secret, without(name), ONE),
        post(secret, [without(name)], BATCH),
        post(secret, EVENT | {name: None}, ONE),
        binary(secret, **{name: None}),
    ):
        assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
        problem = answer.json()
        assert (problem["code"], problem["detail"]) == (
            f"missing_{name}",
            f"The event has no {name}; every event needs one.",
        )
        assert (problem["accepted"], problem["rejected"][0]["code"]) == (0, f"missing_{name}")
    assert not Event.objects.exists()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"specversion": "0.3"}, "unsupported_specversion"),
        ({"specversion": 1.0}, "invalid_specversion"),
        ({"source": ""}, "missing_source"),
        ({"id": 7}, "invalid_id"),
        ({"time": "yesterday"}, "invalid_time"),
        ({"data": "text"}, "data_not_an_object"),
        ({"data": None, "data_base64": "eyJuIjogMX0="}, "data_not_an_object"),
    ],
)
def test_what_cannot_be_billed_is_refused(secret: str, change: dict[str, Any], code: str) -> None:
    answer = post(secret, EVENT | change, ONE)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert not Event.objects.exists()


def test_the_good_ones_of_a_batch_are_kept(secret: str) -> None:
    batch = [EVENT, without("source"), EVENT | {"id": "2"}, EVENT | {"data": {"n": 2}}]
    answer = post(secret, batch, BATCH)
    assert answer.status_code == 400
    problem = answer.json()
    assert (problem["status"], problem["code"], problem["accepted"], problem["duplicates"]) == (
        400,
        "events_refused",
        2,
        0,
    )
    assert problem["detail"].startswith("2 of 4 events were not taken; the first, 1: The event has no source")
    assert [each["index"] for each in problem["rejected"]] == [1]
    assert [(each["index"], each["id"]) for each in problem["conflicts"]] == [(3, "1")]
    assert sorted(Event.objects.values_list("id", flat=True)) == ["1", "2"]


def test_no_data_is_no_properties(secret: str) -> None:
    for identifier, change in (("a", {}), ("b", {"data": None})):
        assert post(secret, without("data") | change | {"id": identifier}, ONE).status_code == 204
    for identifier, body in (("c", b""), ("d", b"null")):
        assert binary(secret, body, id=identifier).status_code == 204
    assert [event.data for event in Event.objects.all()] == [{}, {}, {}, {}]


@pytest.mark.parametrize(
    ("body", "content_type", "code"),
    [
        (b"[]", ONE, "not_an_event"),
        (b"{}", BATCH, "not_a_batch"),
        (b" ", ONE, "not_an_event"),
        (b'{"id":', ONE, "invalid_json"),
        (b"[1,", BATCH, "invalid_json"),
    ],
)
def test_a_body_of_another_shape_is_a_problem(secret: str, body: bytes, content_type: str, code: str) -> None:
    answer = post(secret, body, content_type)
    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_an_empty_batch_has_nothing_wrong(secret: str) -> None:
    assert post(secret, [], BATCH).status_code == 204


def test_headers_are_unquoted_and_percent_decoded_once(secret: str) -> None:
    assert binary(secret, subject="caf%C3%A9%20%2525", source='"a\\"b"').status_code == 204
    event = Event.objects.select_related("source", "subject").get()
    assert (event.subject.name, event.source.name) == ("café %25", 'a"b')
    answer = binary(secret, subject="%FF")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_subject")
    assert "ce-subject" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"n": 1}, "id": "2"', "invalid_json"),
        (b'{"n": NaN}', "invalid_json"),
        (b"\xff", "not_utf8"),
        (b"[1]", "data_not_an_object"),
    ],
)
def test_the_data_of_a_binary_event_is_one_json_object(secret: str, body: bytes, code: str) -> None:
    answer = binary(secret, body)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert not Event.objects.exists()


def test_binary_data_is_json_or_refused(secret: str) -> None:
    assert binary(secret, content_type="").status_code == 204
    assert binary(secret, content_type="application/xml").status_code == 415
    assert post(secret, EVENT, f"{ONE}; charset=latin-1").status_code == 415


def test_numbers_of_data_stay_exact(secret: str) -> None:
    exact = b'{"n": 0.1000000000000000055511151231257827}'
    assert binary(secret, exact).status_code == 204
    one = json.dumps(EVENT | {"id": "2"}).encode().replace(b'{"n": 1}', exact)
    assert post(secret, one, ONE).status_code == 204
    texts = Event.objects.annotate(text=Cast("data", TextField())).values_list("text", flat=True)
    assert list(texts) == [exact.decode()] * 2
