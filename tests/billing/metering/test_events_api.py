"""`POST /api/v1/events` over HTTP: who may send, what is refused as a whole, and the answer to each event."""

import gzip
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from billing.metering.errors import KeyAlreadyRevoked
from billing.metering.models import ApiKey, Event
from billing.metering.services import create_api_key, revoke_api_key
from config import clock

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
EVENT = {"id": "1", "type": "call", "subject": "acme", "data": {"n": 1}}


@pytest.fixture
def secret() -> str:
    return create_api_key(name="app", default_source="app", user=None, now=NOW)[1]


def post(secret: str | None, body: Any, content_type: str = "application/json", **headers: str) -> Any:
    if secret:
        headers["Authorization"] = f"Bearer {secret}"
    content = body if isinstance(body, bytes) else json.dumps(body)
    with clock.set_to(NOW):
        return Client(enforce_csrf_checks=True).post("/api/v1/events", content, content_type, headers=headers)


def test_it_works(secret: str) -> None:
    bad = {"id": "2", "type": "call"}
    answer = post(secret, [EVENT, EVENT, EVENT | {"data": {"n": 2}}, bad])
    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/json"
    conflict = answer.json()["conflicts"][0]
    assert answer.json() == {
        "accepted": 1,
        "duplicates": 1,
        "conflicts": [{"index": 2, "id": "1", "code": "conflict", "message": conflict["message"]}],
        "rejected": [
            {
                "index": 3,
                "id": "2",
                "code": "missing_subject",
                "message": "The event has no subject; every event needs one.",
            }
        ],
    }
    event = Event.objects.select_related("source", "batch").get()
    assert (event.source.name, event.ts, event.batch.key_id) == ("app", NOW, ApiKey.objects.get().pk)


def test_a_secret_is_shown_once_and_kept_as_a_hash(secret: str) -> None:
    key = ApiKey.objects.get()
    assert secret.startswith(f"mb_{key.prefix}_")
    assert secret.removeprefix(f"mb_{key.prefix}_") not in str(vars(key))
    assert len(key.digest) == 64


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer x", "Bearer mb_abcdefgh_x", "Basic {}", "Bearer {}x", "Bearer mb_\udcff_x"]
)
def test_without_a_valid_key_nothing_is_stored(secret: str, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header.format(secret)}
    answer = post(None, EVENT, **headers)
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Bearer")
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "unauthorized"
    assert not Event.objects.exists()


def test_a_revoked_key_ends_at_once(secret: str) -> None:
    assert post(secret, EVENT).status_code == 200
    key = ApiKey.objects.get()
    revoke_api_key(key=key, now=NOW)
    assert post(secret, EVENT).status_code == 401
    with pytest.raises(KeyAlreadyRevoked, match="“app” is revoked already"):
        revoke_api_key(key=key, now=NOW)


@pytest.mark.parametrize("method", ["get", "put", "delete", "patch", "head"])
def test_other_methods_are_refused(method: str) -> None:
    answer = getattr(Client(), method)("/api/v1/events")
    assert (answer.status_code, answer["Allow"]) == (405, "POST")


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json; charset=utf-8", 200),
        ("application/json; charset=latin-1", 415),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("application/x-ndjson; charset=utf-16", 415),
        ("application/cloudevents+xml", 415),
    ],
)
def test_only_json_in_utf8_is_taken(secret: str, content_type: str, status: int) -> None:
    assert post(secret, EVENT, content_type).status_code == status


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b" ", "not_events"),
        (b"null", "not_events"),
        (b"{", "invalid_json"),
        (b"[1,", "invalid_json"),
        (b"\xff", "not_utf8"),
    ],
)
def test_a_body_that_cannot_be_read_is_a_problem(secret: str, body: bytes, code: str) -> None:
    answer = post(secret, body)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert answer.json()["detail"].endswith(".")


def test_bodies_beyond_the_limit_are_refused(secret: str, settings: Settings) -> None:
    settings.USAGE_BODY_LIMIT_BYTES = 200
    assert post(secret, [EVENT]).status_code == 200
    assert post(secret, [EVENT] * 4).json()["code"] == "body_too_large"
    packed = gzip.compress(json.dumps([EVENT] * 400).encode())
    assert len(packed) < 200
    answer = post(secret, packed, **{"Content-Encoding": "gzip"})
    assert (answer.status_code, answer["Content-Type"]) == (413, "application/problem+json")


def test_a_body_larger_than_a_form_may_be_is_taken(secret: str) -> None:
    events = [EVENT | {"id": str(n), "data": {"text": "x" * 1000}} for n in range(4000)]
    assert post(secret, events).json()["accepted"] == 4000


def test_more_events_than_the_limit_are_refused(secret: str, settings: Settings) -> None:
    settings.USAGE_BATCH_LIMIT = 1
    answer = post(secret, [EVENT, EVENT])
    assert (answer.status_code, answer.json()["code"]) == (413, "too_many_events")


def test_gzip_is_understood(secret: str) -> None:
    packed = gzip.compress(json.dumps(EVENT).encode())
    assert post(secret, packed, **{"Content-Encoding": "gzip"}).json()["accepted"] == 1
    assert post(secret, packed[:-9], **{"Content-Encoding": "gzip"}).json()["code"] == "invalid_gzip"
    assert post(secret, b"plain", **{"Content-Encoding": "gzip"}).json()["code"] == "invalid_gzip"
    assert post(secret, packed, **{"Content-Encoding": "br"}).status_code == 415


def test_a_request_takes_few_queries_however_many_events(secret: str) -> None:
    post(secret, EVENT)
    for count in (1, 300):
        with CaptureQueriesContext(connection) as captured:
            post(secret, [EVENT | {"id": f"{count}-{n}"} for n in range(count)])
        selects = [query["sql"] for query in captured if query["sql"].startswith("SELECT")]
        assert not any("apikey" in sql for sql in selects)  # remembered for two seconds
        assert len(captured) <= 20


@pytest.mark.django_db(transaction=True)
def test_the_database_away_is_said_with_when_to_try_again(secret: str, settings: Settings) -> None:
    name = connection.settings_dict["NAME"]
    connection.close()
    connection.settings_dict["NAME"] = "a_database_that_is_away"
    try:
        answer = post(secret, EVENT)
    finally:
        connection.close()
        connection.settings_dict["NAME"] = name
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert answer.json()["code"] == "unavailable"
    assert post(secret, EVENT).json()["accepted"] == 1
