"""The front answers as the Django view does, byte for byte, and hands on what is not its own."""

import gzip
import io
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import connection
from django.test import RequestFactory

from billing.metering import access
from billing.metering.front.wsgi import Front
from billing.metering.models import Event, EventBatch
from billing.metering.services import Delivery, create_api_key, ingest_together, revoke_api_key
from billing.metering.validate import read
from config import clock

pytestmark = pytest.mark.django_db(transaction=True)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
JSON = "application/json"
NDJSON = "application/x-ndjson"
CLOUD = "application/cloudevents+json"
GOOD = '{"id": "a", "type": "t", "subject": "s", "data": {"n": 1}}'


def event(number: int = 1, **fields: Any) -> dict[str, Any]:
    return {"id": str(number), "type": "call", "subject": "acme", "data": {"n": number}} | fields


class Case:
    """One request of the table, sent to a fresh database by either way."""

    def __init__(self, body: Any, content_type: str = JSON, key: str = "sends", **headers: str) -> None:
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.content_type, self.key, self.headers = content_type, key, headers


CASES = {
    "one event": Case(event()),
    "a list": Case([event(1), event(1), event(1, data={}), event(2, subject=None)]),
    "an empty list": Case([]),
    "two hundred events": Case([event(n) for n in range(200)]),
    "good and bad ones": Case([event(1), 5, event(2, time="2999-01-01T00:00:00Z"), event(3, time="noon")]),
    "data that jsonb refuses": Case(f'[{GOOD}, {GOOD.replace("1", "1e400000")}]'.encode()),
    "another charset": Case(event(), "application/json; charset=latin-1"),
    "utf-8 said": Case(event(), "application/json; charset=utf-8"),
    "no JSON": Case(b"{"),
    "no UTF-8": Case(b'{"id": "\xff"}'),
    "no events": Case(b"null"),
    "no body": Case(b""),
    "another type": Case(event(), "text/plain"),
    "no type": Case(event(), ""),
    "gzip": Case(gzip.compress(json.dumps(event()).encode(), mtime=0), HTTP_CONTENT_ENCODING="gzip"),
    "no gzip": Case(event(), HTTP_CONTENT_ENCODING="gzip"),
    "brotli": Case(event(), HTTP_CONTENT_ENCODING="br"),
    "too large": Case([event(n, data={"text": "x" * 1000}) for n in range(60)]),
    "too many": Case([event(n) for n in range(301)]),
    "lines": Case(b"\n".join(json.dumps(event(n)).encode() for n in range(1200)) + b"\noops", NDJSON),
    "a CloudEvent": Case(event(specversion="1.0", source="/s"), CLOUD),
    "a bad CloudEvent": Case(event(specversion="0.3", source="/s"), CLOUD),
    "a binary CloudEvent": Case({"n": 1}, HTTP_CE_SPECVERSION="1.0", HTTP_CE_ID="1", HTTP_CE_TYPE="t",
                                HTTP_CE_SOURCE="/s", HTTP_CE_SUBJECT="acme"),
    "no key": Case(event(), key="none"),
    "an unknown key": Case(event(), key="unknown"),
    "a revoked key": Case(event(), key="revoked"),
    "an expired key": Case(event(), key="expired"),
    "a key that only reads": Case(event(), key="reads"),
    "a key at its limit": Case([event(n) for n in range(50)], key="limited"),
}  # fmt: skip


@pytest.fixture
def secrets() -> dict[str, str]:
    def make(**fields: Any) -> tuple[Any, str]:
        return create_api_key(name="app", default_source="app", user=None, now=NOW, **fields)

    revoked, secret = make()
    revoke_api_key(key=revoked, now=NOW)
    return {
        "sends": make()[1], "revoked": secret, "expired": make(expires_at=NOW)[1], "unknown": "mb_abcdefgh_" + "x" * 32,
        "reads": make(scopes=["read"])[1], "limited": make(rate_limit=1)[1],
    }  # fmt: skip


@pytest.fixture
def django() -> Callable[..., Any]:
    return get_wsgi_application()


@pytest.fixture
def front(django: Callable[..., Any]) -> Iterator[Front]:
    made = Front(django)
    yield made
    made.end()


def environ_of(case: Case, secrets: dict[str, str], path: str = "/api/v1/events") -> dict[str, Any]:
    headers: dict[str, Any] = dict(case.headers)
    if case.key in secrets:
        headers["HTTP_AUTHORIZATION"] = f"Bearer {secrets[case.key]}"
    environ = RequestFactory().generic("POST", path, case.body, case.content_type, **headers).environ
    return environ | {"CONTENT_LENGTH": str(len(case.body)), "wsgi.input": io.BytesIO(case.body)}


def sent(application: Callable[..., Any], environ: dict[str, Any]) -> tuple[str, dict[str, str], bytes]:
    """Status, headers and body of an answer; as on a server, the thread keeps no connection."""
    answered: list[tuple[str, list[tuple[str, str]]]] = []
    with clock.set_to(NOW):
        body = application(environ, lambda status, headers, *_: answered.append((status, headers)))
        content = b"".join(body)
    getattr(body, "close", lambda: None)()
    status, headers = answered[0]
    assert len(headers) == len({name for name, _ in headers})
    return status, dict(headers), content


def stored() -> list[tuple[Any, ...]]:
    return list(Event.objects.values_list("id", "source__name", "subject__name", "ts", "data").order_by("n", "batch"))


def test_the_front_and_django_give_the_same_answer_and_store_the_same(
    secrets: dict[str, str], django: Any, front: Front, settings: Any
) -> None:
    settings.USAGE_BODY_LIMIT_BYTES, settings.USAGE_BATCH_LIMIT = 50_000, 300
    for name, case in CASES.items():
        answers = []
        for application in (front, django):
            answers.append((sent(application, environ_of(case, secrets)), stored()))
            with connection.cursor() as cursor:
                cursor.execute("TRUNCATE metering_event, metering_key, metering_batch, metering_pending")
                cursor.execute("UPDATE metering_apikey_use SET balance = NULL")
            access.limits._leases.clear()
        assert answers[0] == answers[1], name


def test_it_works(front: Front, secrets: dict[str, str]) -> None:
    status, headers, body = sent(front, environ_of(Case(event()), secrets))
    assert (status, headers["Content-Type"]) == ("200 OK", JSON)
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert json.loads(body) == {"accepted": 1, "duplicates": 0, "conflicts": [], "rejected": []}
    assert Event.objects.count() == 1


def test_many_requests_share_a_commit_and_each_has_its_own_report(front: Front, secrets: dict[str, str]) -> None:
    """The same event twice, a conflict, and bad ones, all in one batch: as if each had come by itself."""
    key = access.authenticate(f"Bearer {secrets['sends']}", "ingest", NOW)
    bodies = [[event(1)], [event(1)], [event(2), 5], [event(1, data={})], [], [event(3, subject=None), event(4)]]
    deliveries = [Delivery(read(json.dumps(body).encode()), key) for body in bodies]
    reports = ingest_together(deliveries=deliveries, origin="api", now=NOW)
    assert [(r.accepted, r.duplicates, len(r.conflicts), len(r.rejected)) for r in reports] == [
        (1, 0, 0, 0), (0, 1, 0, 0), (1, 0, 0, 1), (0, 0, 1, 0), (0, 0, 0, 0), (1, 0, 0, 1),
    ]  # fmt: skip
    assert [(r.conflicts[0].index, r.conflicts[0].id) for r in reports if r.conflicts] == [(0, "1")]
    assert [problem.index for r in reports for problem in r.rejected] == [1, 0]
    assert EventBatch.objects.count() == 1
    assert {report.batch for report in reports if report.accepted} == {EventBatch.objects.get().pk}


def test_requests_of_several_keys_share_a_transaction_and_not_a_batch(secrets: dict[str, str]) -> None:
    found = [access.authenticate(f"Bearer {secrets[name]}", "ingest", NOW) for name in ("sends", "limited", "sends")]
    deliveries = [Delivery(read(json.dumps(event(n)).encode()), key) for n, key in enumerate(found)]
    reports = ingest_together(deliveries=deliveries, origin="api", now=NOW)
    assert [report.accepted for report in reports] == [1, 1, 1]
    assert list(EventBatch.objects.order_by("no").values_list("key_id", flat=True)) == [found[0].pk, found[1].pk]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"REQUEST_METHOD": "GET"}, "405"),
        ({"PATH_INFO": "/healthz", "REQUEST_METHOD": "GET"}, "200"),
        ({"PATH_INFO": "/api/v1/events/"}, "404"),
        ({"HTTP_HOST": "elsewhere.example"}, "400"),
    ],
)
def test_what_is_not_its_own_goes_to_django(
    front: Front, secrets: dict[str, str], change: dict[str, str], status: str
) -> None:
    assert sent(front, environ_of(Case(event()), secrets) | change)[0].startswith(status)
    assert not Event.objects.exists()


def test_in_production_plain_http_is_redirected_and_tls_is_answered_with_its_headers(
    secrets: dict[str, str], settings: Any
) -> None:
    settings.SECURE_SSL_REDIRECT, settings.SECURE_HSTS_SECONDS = True, 3600
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    django = get_wsgi_application()
    front = Front(django)
    try:
        environ = environ_of(Case(event()), secrets)
        assert sent(front, environ)[0].startswith("301")
        over_tls = {"HTTP_X_FORWARDED_PROTO": "https"}
        ours = sent(front, environ_of(Case(event(1)), secrets) | over_tls)
        assert ours[1]["Strict-Transport-Security"] == "max-age=3600"
        assert ours == sent(django, environ_of(Case(event(2)), secrets) | over_tls)
        assert sent(front, environ_of(Case(event()), secrets))[0].startswith("301")
    finally:
        front.end()


def test_the_front_asks_django_once_for_a_host(front: Front, secrets: dict[str, str]) -> None:
    asked: list[str] = []
    behind = front.django

    def watched(environ: dict[str, Any], start_response: Any) -> Any:
        asked.append(environ["PATH_INFO"])
        return behind(environ, start_response)

    front.django = watched
    for number in range(5):
        assert sent(front, environ_of(Case(event(number)), secrets))[0] == "200 OK"
    assert asked == ["/api/v1/events"]


def test_no_sender_can_pretend_to_be_the_front(secrets: dict[str, str], django: Any) -> None:
    pretending = environ_of(Case(event(), key="none", HTTP_METERBOOK_DOOR="1"), secrets)
    assert sent(django, pretending)[0].startswith("401")
    assert settings.WSGI_APPLICATION == "config.wsgi.application"
