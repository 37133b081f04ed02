"""Bad input by name: what each does, and that it never costs a 500, another event, or half of one."""

import gzip
import json
import random
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import schemathesis
from django.core import signals
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, connection
from django.test import Client
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from billing.metering import partitions
from billing.metering.models import Event, EventBatch, EventKey
from billing.metering.services import create_api_key
from config import clock
from tests import factories

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
GOOD = {"id": "good", "type": "call", "subject": "acme", "time": "2026-03-01T00:00:00Z", "data": {"n": 1}}
TYPES = (
    "application/json", "application/x-ndjson", "application/cloudevents+json", "application/cloudevents-batch+json",
)  # fmt: skip
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture
def secret() -> str:
    return create_api_key(name="app", default_source="app", user=None, now=NOW, scopes=["ingest", "read", "correct"])[1]


def post(secret: str, body: Any, content_type: str = "application/json", path: str = "", **headers: str) -> Any:
    headers["Authorization"] = f"Bearer {secret}"
    content = body if isinstance(body, bytes) else json.dumps(body)
    with clock.set_to(NOW):
        return Client(raise_request_exception=False).post(
            f"/api/v1/{path or 'events'}", content, content_type, headers=headers
        )


def event(id: str = "bad", **fields: Any) -> dict[str, Any]:
    return GOOD | {"id": id} | fields


def raw(*texts: str) -> bytes:
    """A list of the texts and, behind them, one good event."""
    return f"[{', '.join([*texts, json.dumps(GOOD)])}]".encode()


def fates(report: dict[str, Any]) -> list[tuple[int, str]]:
    return [(each["index"], each["code"]) for each in report["rejected"]]


def assert_whole() -> None:
    """No event without its key, no key without its event, and no batch that holds nothing."""
    assert Event.objects.count() == EventKey.objects.count()
    assert set(EventBatch.objects.values_list("no", flat=True)) == set(Event.objects.values_list("batch", flat=True))


def test_it_works(secret: str) -> None:
    report = post(secret, raw("1")).json()
    assert (report["accepted"], fates(report)) == (1, [(0, "not_an_object")])
    assert_whole()


@pytest.mark.parametrize("content_type", TYPES)
def test_a_gzip_bomb_is_refused(secret: str, content_type: str) -> None:
    answer = post(secret, gzip.compress(b" " * 20_000_000), content_type, **{"Content-Encoding": "gzip"})
    assert (answer.status_code, answer.json()["code"]) == (413, "gzip_bomb")


def test_u_0000_never_sinks_a_batch(secret: str) -> None:
    bad = [event("\0"), event(type="\0"), event(subject="a\0b"), event(source="\0"), event(data={"\0": "\0"})]
    report = post(secret, raw(*map(json.dumps, bad))).json()
    assert (report["accepted"], fates(report)) == (1, [(place, "nul_character") for place in range(5)])
    assert_whole()


def test_lone_surrogates_never_sink_a_batch(secret: str) -> None:
    bad = [event("\ud800"), event(subject="\udc00x"), event(data={"\ud83d": 1}), event(data={"x": "\ude00\ud83d"})]
    report = post(secret, raw(*map(json.dumps, bad))).json()
    assert (report["accepted"], fates(report)) == (1, [(place, "invalid_unicode") for place in range(4)])
    raw_surrogate = post(secret, b'{"id": "\xed\xa0\x80"}')
    assert (raw_surrogate.status_code, raw_surrogate.json()["code"]) == (400, "not_utf8")


def test_1e400_is_kept_exactly_and_what_no_database_holds_is_refused(secret: str) -> None:
    numbers = ["1e400", "-1e400", "1e-400", "1e131071", "1e131072", "1e999999999", "1e-999999999", "-0", "0e5"]
    texts = [json.dumps(event(str(place))).replace('"n": 1', f'"n": {n}') for place, n in enumerate(numbers)]
    report = post(secret, raw(*texts)).json()
    assert {code for _, code in fates(report)} == {"invalid_data"}
    assert {place for place, _ in fates(report)} >= {4, 5}
    with connection.cursor() as cursor:
        cursor.execute("SELECT (data->>'n')::numeric = 1e400 FROM metering_event WHERE id = '0'")
        assert cursor.fetchone() == (True,)
    assert report["accepted"] + report["duplicates"] + len(report["rejected"]) == len(numbers) + 1
    assert_whole()


def test_an_integer_of_5000_digits_is_kept_exactly(secret: str) -> None:
    digits = "7" * 5000
    report = post(secret, raw(json.dumps(event("long")).replace('"n": 1', f'"n": {digits}'))).json()
    assert (report["accepted"], report["rejected"]) == (2, [])
    answer = Client().get("/api/v1/events/app/long", headers={"Authorization": f"Bearer {secret}"})
    assert digits.encode() in answer.content
    meter = factories.make_meter(event_type="call", value="n")
    factories.make_customer("acme")
    parameters = {"customer": "acme", "meter": meter.code, "start": "2026-03-01", "end": "2026-04-01"}
    again = Client().get("/api/v1/events/app/long", headers={"Authorization": f"Bearer {secret}"})
    assert json.loads(again.content, parse_int=str)["meters"][0]["counts"] is False
    found = Client().get("/api/v1/usage", parameters, headers={"Authorization": f"Bearer {secret}"}).json()
    assert (found["rows"][0]["quantity"], found["rows"][0]["invalid"]) == ("1", 1)  # no number that can be billed


def test_an_integer_of_5000_digits_as_id_or_time_is_refused(secret: str) -> None:
    digits = "7" * 5000
    texts = [json.dumps(event()).replace(f'"{field}"', digits) for field in ("bad", "2026-03-01T00:00:00Z")]
    assert fates(post(secret, raw(*texts)).json()) == [(0, "invalid_json"), (1, "invalid_json")]
    lago = (
        f'{{"event": {{"transaction_id": "1", "code": "c", "external_subscription_id": "s", "timestamp": {digits}}}}}'
    )
    assert post(secret, lago.encode()).json()["error_details"] == {"timestamp": ["invalid_time"]}


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a": ', "}")])
def test_nesting_of_10_000_sinks_no_other_event(secret: str, opening: str, closing: str) -> None:
    deep = opening * 10_000 + "1" + closing * 10_000
    texts = [json.dumps(event()).replace('{"n": 1}', f'{{"n": {deep}}}'), deep, json.dumps(event(deep[:10]))]
    report = post(secret, raw(*texts)).json()
    assert report["accepted"] == 2
    assert [place for place, _ in fates(report)] == [0, 1]
    lines = "\n".join([*texts, json.dumps(GOOD)]).encode()
    report = post(secret, lines, "application/x-ndjson").json()
    assert (report["duplicates"], report["rejected_count"]) == (2, 2)
    assert post(secret, deep.encode()).status_code in (200, 400)
    assert post(secret, f'{{"event": {deep}}}'.encode()).status_code in (200, 400, 422)  # 200: one of ours, without id
    assert post(secret, f'{{"events": [{deep}]}}'.encode(), path="events/batch").status_code in (400, 422)
    assert_whole()


def test_of_duplicate_json_keys_the_last_counts(secret: str) -> None:
    doubled = '{"id": "a", "id": "b", "type": "call", "subject": "acme", "data": {"n": 1, "n": 2}}'
    assert post(secret, raw(doubled)).json()["accepted"] == 2
    assert Event.objects.get(id="b").data == {"n": 2}
    assert post(secret, raw(doubled.replace('"n": 1, ', ""))).json()["duplicates"] == 2
    slow = '{"id": "a", "id": "c", "type": "call", "subject": "acme"}'  # beside a bad one each is read by itself
    assert post(secret, raw("1", slow)).json()["accepted"] == 1
    assert Event.objects.filter(id="c").exists()


def test_an_id_over_1_kb_is_refused_and_one_of_1000_characters_is_kept(secret: str) -> None:
    report = post(secret, raw(json.dumps(event("x" * 1001)), json.dumps(event("é" * 1000)))).json()
    assert (report["accepted"], fates(report)) == (2, [(0, "id_too_long")])


@pytest.mark.parametrize(
    ("time", "code"),
    [
        ("0001-01-01T00:00:00Z", "implausible_time"),
        ("0001-01-01T00:00:00+23:59", "implausible_time"),
        ("9999-12-31T23:59:59Z", "future_time"),
        ("9999-12-31T23:59:59-23:59", "future_time"),
        ("0000-01-01T00:00:00Z", "invalid_time"),
        ("10000-01-01T00:00:00Z", "invalid_time"),
    ],
)
def test_years_1_and_9999_are_refused(secret: str, time: str, code: str) -> None:
    report = post(secret, raw(json.dumps(event(time=time)))).json()
    assert (report["accepted"], fates(report)) == (1, [(0, code)])
    seconds = {"0001-01-01T00:00:00Z": -62135596800, "9999-12-31T23:59:59Z": 253402300799}.get(time, 10**15)
    lago = {"transaction_id": "1", "code": "c", "external_subscription_id": "s", "timestamp": seconds}
    assert "timestamp" in post(secret, {"event": lago}).json()["error_details"]
    assert_whole()


def months(count: int, prefix: str = "m") -> list[dict[str, Any]]:
    """An event in each of the last `count` months."""
    places = [divmod(NOW.year * 12 + NOW.month - 1 - back, 12) for back in range(count)]
    return [event(f"{prefix}{n}", time=f"{year}-{month + 1:02}-01T00:00:00Z") for n, (year, month) in enumerate(places)]


def partition_count() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_inherits WHERE inhparent = 'metering_event'::regclass")
        return int(cursor.fetchone()[0])


def drop_partitions() -> None:
    """Months that a test which committed left behind: emptied, but still there."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'metering_event'::regclass")
        for (name,) in cursor.fetchall():
            cursor.execute(f"DROP TABLE {name}")
    partitions.forget()


def test_events_in_500_months_at_once_make_no_flood_of_partitions(secret: str) -> None:
    """The latest ten years are taken at once; the others are told to come again, and are taken then."""
    drop_partitions()
    report = post(secret, months(500)).json()
    assert report["accepted"] == partitions.MOST_NEW == partition_count()
    assert {code for _, code in fates(report)} == {"too_many_new_months"}
    assert min(place for place, _ in fates(report)) == partitions.MOST_NEW
    assert_whole()
    partitions.forget()  # another process knows no month, and makes no more for it
    report = post(secret, months(partitions.MOST_NEW + 30)).json()
    assert (report["duplicates"], report["accepted"]) == (partitions.MOST_NEW, 30)


def test_the_same_id_twice_in_one_batch_with_different_content_counts_the_first(secret: str) -> None:
    report = post(secret, [event("1", data={"n": 1}), event("1", data={"n": 2}), event("1", data={"n": 1})]).json()
    assert (report["accepted"], report["duplicates"]) == (1, 1)
    assert [each["index"] for each in report["conflicts"]] == [1]
    assert Event.objects.get().data == {"n": 1}


@pytest.mark.django_db(transaction=True)
def test_two_first_events_of_a_new_month_at_the_same_moment_are_both_kept(secret: str) -> None:
    answers: list[int] = []
    gate = threading.Barrier(4)

    def send(n: int) -> None:
        try:
            gate.wait(10)
            answers.append(post(secret, event(str(n), time="1999-07-01T00:00:00Z")).json()["accepted"])
        finally:
            connection.close()

    partitions.forget()
    senders = [threading.Thread(target=send, args=[n]) for n in range(4)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert answers == [1, 1, 1, 1]
    assert Event.objects.filter(ts__year=1999).count() == 4


CORRECTION = (
    '{"kind": "replace", "reason": "r", "criteria": {"source": "app", "ids": ["good"]}, "changes": {"data": {"n": 2}}}'
)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"r"', '"\\ud800"'),
        ('"r"', '"\\u0000"'),
        ('"good"', '"\\ud800"'),
        ('"good"', '"\\u0000"'),
        ('"app"', '"\\udc00"'),
        ('"n": 2', '"n": "\\ud800"'),
        ('"n": 2', '"n": "\\u0000"'),
        ('"n": 2', '"\\u0000": 2'),
        ('"n": 2', f'"n": {"7" * 5000}'),
        ('"n": 2', '"n": 1e999999999'),
        ('"n": 2', '"n": 1e400'),
        ('"n": 2', '"n": ' + "[" * 10_000 + "]" * 10_000),
        ('"data": {"n": 2}', '"time": "0001-01-01T00:00:00+23:59"'),
        ('"data": {"n": 2}', '"time": "9999-12-31T23:59:59-23:59"'),
        ('"data": {"n": 2}', '"subject": "' + "x" * 5000 + '"'),
        ('"data": {"n": 2}', '"type": "' + "x" * 5000 + '"'),
        (
            '"ids": ["good"]',
            '"ids": ["good"], "start": "0001-01-01T00:00:00+23:59", "end": "9999-12-31T23:59:59-23:59"',
        ),
        ('"ids": ["good"]', '"backfill": 1e400'),
        ('"ids": ["good"]', f'"backfill": {10**30}'),
        ('"ids": ["good"]', '"ids": ["good"], "filters": {"a": "\\ud800"}'),
        ('"ids": ["good"]', '"ids": ["good"], "filters": {"\\u0000": "x"}'),
    ],
)
def test_a_bad_correction_is_answered(secret: str, old: str, new: str) -> None:
    assert post(secret, GOOD).json()["accepted"] == 1
    body = CORRECTION.replace(old, new)
    assert body != CORRECTION
    for text in (body, body[:-1] + ', "dry_run": true}'):
        answer = post(secret, text.encode(), path="corrections")
        assert (answer.status_code < 500, answer["Content-Type"].partition("; ")[0]) == (
            True,
            "application/json" if answer.status_code < 300 else "application/problem+json",
        )


def test_a_correction_puts_nothing_into_the_future(secret: str) -> None:
    post(secret, GOOD)
    answer = post(
        secret, CORRECTION.replace('"data"', '"time": "2026-03-11T00:00:00Z", "data"').encode(), path="corrections"
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_time")


TOKENS = [
    b"{", b"}", b"[", b"]", b'"', b":", b",", b"\\", b"\\u0000", b"\\ud800", b"\x00", b"\x1e", b"\xff", b"\xed\xa0\x80",
    b"null", b"true", b"NaN", b"Infinity", b"1e400", b"1e999999999", b"-", b"0" * 400, b'"id"', b'"event"', b'"events"',
    b'"time"', b'"0001-01-01T00:00:00Z"', b'"9999-12-31T23:59:59Z"', b"\n", b"\r\n", b"[" * 600, b'{"a":' * 600,
    "é😀".encode(), b"x" * 3000, b"%s", b"'; --",
]  # fmt: skip


def mutants(seed: int, count: int) -> Iterator[tuple[str, str, bytes, dict[str, str]]]:
    """Bodies that were good before a few bytes were cut, doubled, swapped or put in; with where to send them."""
    source = random.Random(seed)
    cloud = GOOD | {"specversion": "1.0", "source": "s"}
    lago = {"transaction_id": "1", "code": "c", "external_subscription_id": "s", "timestamp": 1772366400}
    seeds: list[tuple[str, str, Any]] = [
        ("", TYPES[0], [event(str(n)) for n in range(3)]), ("", TYPES[0], GOOD), ("", TYPES[1], GOOD),
        ("", TYPES[2], cloud), ("", TYPES[3], [cloud, cloud]), ("", TYPES[0], {"event": lago}),
        ("events/batch", TYPES[0], {"events": [lago, lago | {"properties": {"a": 1}}]}),
    ]  # fmt: skip
    for _ in range(count):
        path, content_type, good = source.choice(seeds)
        body = bytearray(json.dumps(good).encode())
        if content_type == TYPES[1]:
            body = (body + b"\n") * 3
        for _ in range(source.choice((1, 1, 2, 5))):
            at = source.randrange(len(body) + 1)
            end = min(len(body), at + source.choice((0, 1, 1, 5, 30)))
            put = source.choice((b"", bytes([source.randrange(256)]), source.choice(TOKENS), bytes(body[at:end]) * 2))
            body[at:end] = put
        headers = {} if source.random() < 0.9 else {"Content-Encoding": "gzip"}
        packed = gzip.compress(bytes(body)) if headers else bytes(body)
        if headers and source.random() < 0.5:
            packed = packed[: source.randrange(len(packed))]
        yield path, content_type, packed, headers


def survive(secret: str, seed: int, count: int) -> None:
    for path, content_type, body, headers in mutants(seed, count):
        before = Event.objects.count()
        answer = post(secret, body, content_type, path, **headers)
        assert answer.status_code < 500, (content_type, body, answer.content)
        assert b"Traceback" not in answer.content
        report = json.loads(answer.content) if answer.content else {}
        if "accepted" in report:
            assert Event.objects.count() - before == report["accepted"]
    assert_whole()


def test_malformed_bodies_are_answered(secret: str) -> None:
    survive(secret, seed=1, count=300)


@pytest.mark.deep
def test_10_000_malformed_bodies_are_answered(secret: str) -> None:
    survive(secret, seed=2, count=10_000)


@schemathesis.serializer("application/x-ndjson")
def as_lines(ctx: Any, value: Any) -> bytes:
    """What schemathesis made for a stream, as it is."""
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")


def signed(application: Any, secret: str) -> Any:
    """The application, with a key in each request; the test's connection stays open, as Django's client keeps it."""

    def answer(environ: Any, start_response: Any) -> Any:
        environ["HTTP_AUTHORIZATION"] = f"Bearer {secret}"
        signals.request_started.disconnect(close_old_connections)
        signals.request_finished.disconnect(close_old_connections)
        try:
            response = application(environ, start_response)
            content = [b"".join(response)]
            response.close()
            return content
        finally:
            signals.request_started.connect(close_old_connections)
            signals.request_finished.connect(close_old_connections)

    return answer


def answer_all_that_is_described(secret: str, examples: int) -> None:
    """Every operation, with what its description allows and with what it does not, answers as it is described."""
    factories.make_meter()
    factories.make_customer("acme")
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", signed(get_wsgi_application(), secret))
    quiet = settings(
        max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck), derandomize=True
    )
    for found in schema.get_all_operations():
        modes = list(schemathesis.GenerationMode)
        for mode in modes[:1] if found.ok().path == "/healthz" else modes:  # it takes nothing that could be wrong

            @quiet
            @given(case=found.ok().as_strategy(mode))
            def check(case: Any) -> None:
                answer = case.call()
                case.validate_response(answer, checks=CHECKS)

            check()
    assert_whole()


def test_the_description_of_the_api_holds_for_any_request(secret: str) -> None:
    answer_all_that_is_described(secret, 15)


@pytest.mark.deep
def test_the_description_of_the_api_holds_for_thousands_of_requests(secret: str) -> None:
    answer_all_that_is_described(secret, 200)
