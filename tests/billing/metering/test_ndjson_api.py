"""Streams of lines sent to `POST /api/v1/events`, and what gzip may unpack to."""

import gzip
import io
import json
import random
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from billing.metering import bodies
from billing.metering.errors import Refusal, UnreadableBody
from billing.metering.models import Event
from billing.metering.services import create_api_key
from config import clock

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
NDJSON = "application/x-ndjson"
GZIP = {"Content-Encoding": "gzip"}


@pytest.fixture
def secret() -> str:
    return create_api_key(name="app", default_source="app", user=None, now=NOW)[1]


def post(
    secret: str, body: bytes, content_type: str = NDJSON, extra: dict[str, Any] | None = None, **headers: str
) -> Any:
    given = {"Authorization": f"Bearer {secret}"} | headers
    with clock.set_to(NOW):
        extra = {"CONTENT_TYPE": content_type} | (extra or {})  # Django's client drops the type of an empty body
        return Client().post("/api/v1/events", body, content_type, headers=given, **extra)


def line(n: int, **changed: Any) -> bytes:
    return json.dumps({"id": str(n), "type": "call", "subject": "acme", "data": {"n": n}} | changed).encode() + b"\n"


def lines(count: int) -> bytes:
    return b"".join(map(line, range(count)))


def test_it_works(secret: str) -> None:
    body = line(1) + b"\n" + line(1) + b"oops\n" + line(1, data={}) + line(2, time="2026-03-01T11:00:00Z")
    answer = post(secret, body, f"{NDJSON}; charset=utf-8")
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")
    report = answer.json()
    assert (report["accepted"], report["duplicates"]) == (2, 1)
    assert [(each["index"], each["code"]) for each in report["rejected"]] == [(3, "not_an_object")]
    assert [(each["index"], each["id"]) for each in report["conflicts"]] == [(4, "1")]
    assert (report["conflict_count"], report["rejected_count"]) == (1, 1)
    assert set(Event.objects.values_list("ts", flat=True)) == {NOW, datetime(2026, 3, 1, 11, tzinfo=UTC)}


def test_the_number_of_lines_has_no_limit_but_the_line_has(secret: str, settings: Settings) -> None:
    settings.USAGE_BODY_LIMIT_BYTES = 2000
    settings.USAGE_BATCH_LIMIT = 20
    settings.USAGE_LINE_LIMIT_BYTES = 500
    report = post(secret, lines(100) + line(100, data={"text": "x" * 500})).json()
    assert (report["accepted"], report["rejected_count"]) == (100, 1)
    assert (report["rejected"][0]["index"], report["rejected"][0]["code"]) == (100, "line_too_long")


def test_an_empty_stream_has_no_events(secret: str) -> None:
    expected = {"accepted": 0, "duplicates": 0, "conflicts": [], "rejected": []}
    assert post(secret, b"").json() == expected | {"conflict_count": 0, "rejected_count": 0}


def test_the_first_thousand_problems_are_named_and_all_are_counted(secret: str) -> None:
    post(secret, lines(2500))
    mixed = b"".join(line(n, data={}) if n % 2 else b"nonsense\n" for n in range(2500))
    report = post(secret, mixed + line(1)).json()
    assert (report["duplicates"], report["conflict_count"], report["rejected_count"]) == (1, 1250, 1250)
    named = sorted(each["index"] for each in (*report["conflicts"], *report["rejected"]))
    assert named == list(range(1000))
    assert len(report["conflicts"]) == 500


def test_what_a_sender_makes_long_is_cut_in_the_answer(secret: str) -> None:
    zoneless = "2026-03-01T11:00:00." + "1" * 100_000
    answer = post(secret, line(1, id="i" * 100_000) + line(2, time=zoneless))
    assert [each["code"] for each in answer.json()["rejected"]] == ["id_too_long", "time_without_zone"]
    assert len(answer.content) < 4000


def test_queries_grow_with_batches_and_not_with_lines(secret: str) -> None:
    post(secret, line(-1))
    counts = []
    for start, count in ((0, 1000), (1000, 2000)):
        with CaptureQueriesContext(connection) as captured:
            post(secret, b"".join(line(start + n) for n in range(count)))
        counts.append(len(captured))
    assert counts[1] == counts[0] * 2 <= 40


def test_a_stream_may_be_gzipped_in_several_members(secret: str) -> None:
    packed = gzip.compress(lines(1500)) + gzip.compress(line(1500))
    assert post(secret, packed, **GZIP).json()["accepted"] == 1501


def test_a_stream_that_breaks_keeps_what_was_stored_and_says_so(secret: str) -> None:
    source = random.Random(7)
    body = b"".join(line(n, data={"text": source.randbytes(50).hex()}) for n in range(2500))
    packed = gzip.compress(body)
    answer = post(secret, packed[: len(packed) - 9], **GZIP)
    assert (answer.status_code, answer.json()["code"], answer.json()["accepted"]) == (400, "invalid_gzip", 2000)
    assert Event.objects.count() == 2000
    assert post(secret, packed, **GZIP).json() | {"conflicts": 0} == {
        "accepted": 500, "duplicates": 2000, "conflicts": 0, "rejected": [], "conflict_count": 0, "rejected_count": 0,
    }  # fmt: skip


def test_a_body_shorter_than_announced_keeps_what_was_stored(secret: str) -> None:
    body = lines(1200)
    extra = {"CONTENT_LENGTH": str(len(body) + 5), "wsgi.input": io.BytesIO(body)}
    answer = post(secret, b"", extra=extra)
    assert (answer.status_code, answer.json()["code"], answer.json()["accepted"]) == (400, "incomplete_body", 1000)


def test_a_body_in_chunks_is_taken_where_the_server_ends_it(secret: str) -> None:
    chunked = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input": io.BytesIO(line(1))}
    answer = post(secret, b"", extra=chunked)
    assert (answer.status_code, answer.json()["code"]) == (411, "length_required")
    for content_type in (NDJSON, "application/json"):
        ended = {**chunked, "wsgi.input": io.BytesIO(line(1)), "wsgi.input_terminated": True}
        assert post(secret, b"", content_type, extra=ended).status_code == 200
    assert Event.objects.count() == 1


@pytest.mark.parametrize(
    "content_type",
    [NDJSON, "application/json", "application/cloudevents+json", "application/cloudevents-batch+json"],
)
def test_a_gzip_bomb_is_refused(secret: str, content_type: str, settings: Settings) -> None:
    settings.USAGE_BODY_LIMIT_BYTES = 100_000_000
    settings.USAGE_LINE_LIMIT_BYTES = 100_000_000
    answer = post(secret, gzip.compress(b" " * 5_000_000), content_type, **GZIP)
    assert (answer.status_code, answer.json()["code"]) == (413, "gzip_bomb")
    assert answer["Content-Type"] == "application/problem+json"


def test_a_whole_body_is_measured_after_unpacking(secret: str, settings: Settings) -> None:
    settings.USAGE_BODY_LIMIT_BYTES = 100_000
    packed = gzip.compress(b"[" + b",".join(line(n) for n in range(3000)) + b"]")
    assert len(packed) < 100_000
    answer = post(secret, packed, "application/json", **GZIP)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert post(secret, gzip.compress(lines(3000)), **GZIP).json()["accepted"] == 3000


def test_a_bomb_is_stopped_before_it_is_unpacked() -> None:
    packed = gzip.compress(b" " * 50_000_000)
    sizes: list[int] = []
    with pytest.raises(Refusal, match="200 times as large"):
        sizes.extend(map(len, bodies.unpacked(iter([packed[:20_000], packed[20_000:]]))))
    assert max(sizes) <= bodies.PIECE
    assert sum(sizes) <= 20_000 * bodies.RATIO


@pytest.mark.parametrize("size", [1, 3, 1000, 10**6])
def test_unpacking_gives_every_byte_however_they_arrive(size: int) -> None:
    source = random.Random(3)
    plain = b"".join(line(source.randrange(10**6)) for _ in range(5000)) + b"a" * 200_000
    packed = gzip.compress(plain[:70_000]) + gzip.compress(b"") + gzip.compress(plain[70_000:])
    pieces = (packed[at : at + size] for at in range(0, len(packed), size))
    assert b"".join(bodies.unpacked(pieces)) == plain


@pytest.mark.parametrize(
    "packed",
    [b"", b"plain", gzip.compress(b"x")[:-1], gzip.compress(b"x") + b"more"],
    ids=["nothing", "not packed", "cut short", "more than gzip"],  # gzip holds the time: no name to find a test by
)
def test_what_is_no_whole_gzip_is_said(packed: bytes) -> None:
    with pytest.raises(UnreadableBody, match="gzip"):
        list(bodies.unpacked([packed] if packed else []))
