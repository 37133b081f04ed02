"""What was not stored is kept: conflicts once per content, rejections by the hour, and the problems of streams."""

import gzip
import json
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from billing.metering import lines
from billing.metering.models import ApiKey, Event, EventBatch
from billing.metering.reports import files, services
from billing.metering.reports.models import EventConflict, EventReject, ProblemFile, ProblemPart
from billing.metering.services import create_api_key, ingest
from billing.metering.validate import new_event
from config import clock

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 1, 12, 40, tzinfo=UTC)
EVENT = {"id": "1", "type": "call", "subject": "acme", "time": "2026-02-01T00:00:00Z", "data": {"n": 1}}


def send(*events: Any, now: datetime = NOW, key: ApiKey | None = None) -> Any:
    return ingest(events=json.dumps(events).encode(), origin="api", default_source="app", key=key, now=now)


@pytest.fixture
def secret() -> str:
    return create_api_key(name="app", default_source="app", user=None, now=NOW)[1]


def post(secret: str, body: bytes, content_type: str = "application/x-ndjson", now: datetime = NOW) -> Any:
    with clock.set_to(now):
        headers = {"Authorization": f"Bearer {secret}"}
        return Client().post("/api/v1/events", body, content_type, headers=headers)


def get(secret: str | None, url: str) -> Any:
    return Client().get(url, headers={"Authorization": f"Bearer {secret}"} if secret else {})


def test_it_works() -> None:
    key, _ = create_api_key(name="app", default_source="app", user=None, now=NOW)
    send(EVENT, key=key)
    send(EVENT | {"data": {"n": 2}}, {"id": "2"}, key=key)
    conflict = EventConflict.objects.select_related("source").get()
    assert (conflict.source.name, conflict.event_id, conflict.key, conflict.count) == ("app", "1", key, 1)
    assert conflict.sent == {"type": "call", "subject": "acme", "time": "2026-02-01T00:00:00+00:00", "data": {"n": 2}}
    reject = EventReject.objects.get()
    assert (reject.hour, reject.key, reject.origin, reject.code) == (NOW.replace(minute=0), key, "api", "missing_type")
    assert (reject.count, reject.last_at, reject.last_example) == (1, NOW, '{"id": "2"}')
    assert reject.last_message == "The event has no type; every event needs one."


def test_a_conflict_is_recorded_though_nothing_was_accepted() -> None:
    send(EVENT)
    assert send(EVENT | {"subject": "other"}).batch is None
    assert EventConflict.objects.get().sent["subject"] == "other"
    assert EventBatch.objects.count() == 1


def test_a_conflict_with_an_accepted_event_is_recorded_in_its_transaction() -> None:
    send(EVENT)
    with transaction.atomic():
        assert send(EVENT | {"data": {}}, EVENT | {"id": "2"}).accepted == 1
        assert EventConflict.objects.count() == 1
        transaction.set_rollback(True)
    assert (EventConflict.objects.count(), Event.objects.count()) == (0, 1)


def test_the_same_content_sent_again_is_one_conflict_with_a_count() -> None:
    send(EVENT)
    for minute in range(3):
        send(EVENT | {"data": {"n": 2}}, EVENT | {"data": {"n": 2}}, now=NOW + timedelta(minutes=minute))
    conflict = EventConflict.objects.get()
    assert (conflict.count, conflict.first_seen, conflict.last_seen) == (6, NOW, NOW + timedelta(minutes=2))


def test_a_loop_that_sends_ever_new_contents_does_not_flood() -> None:
    """Senders that stamp each attempt with a time of its own do that."""
    send(EVENT)
    send(*(EVENT | {"data": {"attempt": attempt}} for attempt in range(4)))
    for attempt in range(4, 40):
        send(EVENT | {"data": {"attempt": attempt}})
    send(*(EVENT | {"data": {"attempt": attempt}} for attempt in range(40, 60)))
    send(EVENT | {"data": {"attempt": 3}})
    kept = list(EventConflict.objects.order_by("id"))
    assert len(kept) == services.MOST_CONTENTS + 1
    assert sum(each.count for each in kept) == 61
    assert [each.count for each in kept if each.sent["data"]["attempt"] == 3] == [2]
    assert kept[-1].sent["data"]["attempt"] == 59


def test_nothing_is_written_where_nothing_went_wrong() -> None:
    send(EVENT)
    with CaptureQueriesContext(connection) as captured:
        send(EVENT, EVENT | {"id": "2"})
    assert not [
        each["sql"] for each in captured if "metering_conflict" in each["sql"] or "metering_reject" in each["sql"]
    ]
    assert not EventConflict.objects.exists()
    assert not EventReject.objects.exists()


def test_rejections_are_counted_by_hour_key_origin_and_code() -> None:
    key, _ = create_api_key(name="app", default_source="app", user=None, now=NOW)
    bad = {"id": "1", "type": "call"}
    send(bad, bad, {"type": "call"})
    send(bad, key=key)
    send(bad | {"id": "last"}, now=NOW + timedelta(minutes=19))
    send(bad, now=NOW + timedelta(minutes=20))
    rows = EventReject.objects.order_by("hour", "key_id", "code").values_list("hour__hour", "key", "code", "count")
    assert list(rows) == [
        (12, key.pk, "missing_subject", 1),
        (12, None, "missing_id", 1),
        (12, None, "missing_subject", 3),
        (13, None, "missing_subject", 1),
    ]
    assert EventReject.objects.get(hour__hour=12, key=None, code="missing_subject").last_example == (
        '{"id": "last", "type": "call"}'
    )


def test_every_rejection_is_kept_with_an_example_of_at_most_2000_characters() -> None:
    nul, half = (
        new_event(id="\0", type="t", subject="s", data={}),
        new_event(id="\ud800", type="t", subject="s", data={}),
    )
    ingest(events=[nul, half], origin="import x.csv", default_source="app", now=NOW)
    send(EVENT | {"data": {"text": "x" * 5000}, "time": "never"}, {"id": "x" * 5000, "type": "t", "subject": "s"})
    send(json.loads('{"id": "2", "type": "t", "subject": "s", "data": {"x": "\\u0000"}}'))
    ingest(events=b'[{"id": "1", "type": "t", "subject": "s", "data": {"x": 1e999999}}]', origin="api",
           default_source="app", now=NOW)  # fmt: skip
    found = {each.code: each.last_example for each in EventReject.objects.all()}
    assert set(found) == {"nul_character", "invalid_unicode", "invalid_time", "id_too_long", "invalid_data"}
    assert max(map(len, found.values())) == 2000
    assert found["invalid_unicode"].startswith('{"id": "\\ud800"')
    assert found["invalid_data"].endswith('"data": {"x": 1e999999}}')


def test_a_request_refused_as_a_whole_is_counted_for_its_key(secret: str) -> None:
    assert post(secret, b"oops", "application/json").status_code == 400
    assert post(secret, b"", "text/plain").status_code == 415
    assert post("mb_abcdefgh_x", b"oops", "application/json").status_code == 401
    key = ApiKey.objects.get()
    found = EventReject.objects.order_by("code").values_list("key", "code", "count")
    assert list(found) == [(key.pk, "not_events", 1), (key.pk, "unsupported_media_type", 1)]


def test_all_problems_of_a_stream_can_be_fetched(secret: str) -> None:
    post(secret, json.dumps(EVENT).encode())
    conflict = json.dumps(EVENT | {"data": {}}).encode()
    report = post(secret, b"\n".join([b"nonsense", conflict] * 1000)).json()
    assert len(report["conflicts"]) + len(report["rejected"]) == 1000
    assert report["problems_url"] == f"/api/v1/problems/{report['problems_id']}"
    answer = get(secret, report["problems_url"])
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/x-ndjson")
    problems = [json.loads(line) for line in b"".join(answer.streaming_content).splitlines()]
    assert [each["index"] for each in problems] == list(range(2000))
    assert problems[:1000] == sorted((*report["conflicts"], *report["rejected"]), key=lambda each: each["index"])


def test_a_stream_without_problems_has_no_file(secret: str) -> None:
    assert "problems_url" not in post(secret, json.dumps(EVENT).encode()).json()
    assert not ProblemFile.objects.exists()


def test_a_stream_that_breaks_names_its_problems_too(secret: str) -> None:
    body = b"nonsense\n" * 1500
    with clock.set_to(NOW):
        headers = {"Authorization": f"Bearer {secret}", "Content-Encoding": "gzip"}
        answer = Client().post("/api/v1/events", gzip.compress(body)[:-8], "application/x-ndjson", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_gzip")
    assert len(b"".join(get(secret, answer.json()["problems_url"])).splitlines()) == 1000


def test_problems_are_written_in_parts(secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "PART", 10_000)
    report = post(secret, b"nonsense\n" * 2500).json()
    assert ProblemPart.objects.count() > 10
    parts = [len(part) for part in get(secret, report["problems_url"]).streaming_content]
    assert max(parts) < 11_000
    assert len(b"".join(get(secret, report["problems_url"])).splitlines()) == 2500
    assert lines.BATCH < 2500


def test_problems_need_a_key_and_an_id_that_is_known(secret: str) -> None:
    report = post(secret, b"nonsense").json()
    assert get(None, report["problems_url"]).status_code == 401
    unknown = get(secret, "/api/v1/problems/00000000-0000-4000-8000-000000000000")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_problems")
    other = create_api_key(name="other", default_source="other", user=None, now=NOW)[1]
    assert get(other, report["problems_url"]).status_code == 403
    reader = create_api_key(name="reader", default_source="other", user=None, now=NOW, scopes=["read"])[1]
    assert get(reader, report["problems_url"]).status_code == 200
    wrong = Client().post(report["problems_url"], headers={"Authorization": f"Bearer {secret}"})
    assert (wrong.status_code, wrong["Allow"]) == (405, "GET, HEAD")


def test_problems_are_removed_after_30_days(secret: str) -> None:
    post(secret, b"nonsense")
    post(secret, b"nonsense", now=NOW + timedelta(days=1))
    with CaptureQueriesContext(connection) as captured:
        assert services.remove_problem_files(now=NOW + timedelta(days=30, seconds=1)) == 1
    assert not [each["sql"] for each in captured if "content" in each["sql"]]  # the parts go unread
    assert (ProblemFile.objects.count(), ProblemPart.objects.count()) == (1, 1)


@pytest.mark.django_db(transaction=True)
def test_many_senders_at_once_count_every_rejection_and_conflict() -> None:
    send(EVENT)

    def work(worker: int) -> None:
        try:
            for turn in range(5):
                send({"id": "x"}, EVENT | {"data": {"n": turn % 2}}, EVENT | {"id": f"{worker}-{turn}"}, {"type": "x"})
        finally:
            connection.close()

    workers = [threading.Thread(target=work, args=[number]) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert dict(EventReject.objects.values_list("code", "count")) == {"missing_id": 20, "missing_type": 20}
    conflict = EventConflict.objects.get()  # n = 1 is what is stored
    assert (conflict.sent["data"], conflict.count) == ({"n": 0}, 12)
    assert Event.objects.count() == 21
