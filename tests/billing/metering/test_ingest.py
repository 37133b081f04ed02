"""Events come in once, ever; every bad one is answered by its place, and the good ones are kept."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from billing.metering.errors import TooManyEvents, UnreadableBody
from billing.metering.models import Event, EventBatch, EventKey
from billing.metering.services import IngestReport, ingest
from billing.metering.validate import NewEvent, new_event

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
GOOD = b'{"id": "1", "type": "call", "subject": "acme", "time": "2026-02-01T00:00:00Z", "data": {"n": 1}}'


def send(body: bytes | list[NewEvent]) -> IngestReport:
    return ingest(events=body, origin="api", default_source="app", now=NOW)


def codes(report: IngestReport) -> list[tuple[int, str]]:
    return [(problem.index, problem.code) for problem in report.rejected]


def test_it_works() -> None:
    report = send(b"[" + GOOD + b"]")
    assert (report.accepted, report.duplicates, report.conflicts, report.rejected) == (1, 0, (), ())
    event = Event.objects.select_related("source", "type", "subject", "batch").get()
    assert (event.source.name, event.type.name, event.subject.name, event.id) == ("app", "call", "acme", "1")
    assert (event.ts, event.data, event.batch.no) == (datetime(2026, 2, 1, tzinfo=UTC), {"n": 1}, report.batch)
    assert (event.batch.recorded_at, event.batch.origin) == (NOW, "api")


def test_a_single_event_needs_no_list() -> None:
    assert send(GOOD).accepted == 1


def test_an_event_sent_again_is_a_duplicate_and_leaves_no_batch() -> None:
    send(GOOD)
    report = send(b"[" + GOOD + b"]")
    assert (report.accepted, report.duplicates, report.batch) == (0, 1, None)
    assert (Event.objects.count(), EventBatch.objects.count()) == (1, 1)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (b'"data": {"a": 1.0, "b": "x"}', b'"data": {"b": "x", "a": 1}'),
        (b'"time": "2026-02-01T01:00:00+01:00"', b'"time": "2026-02-01T00:00:00.000Z"'),
        (b'"data": {}', b'"source": "app"'),
        (b'"time": "2026-02-01T00:00:00.1234567Z"', b'"time": "2026-02-01T00:00:00.1234561Z"'),
    ],
)
def test_content_that_means_the_same_is_a_duplicate(first: bytes, second: bytes) -> None:
    head = b'{"id": "1", "type": "call", "subject": "acme", '
    assert send(head + first + b"}").accepted == 1
    report = send(head + second + b"}")
    assert (report.duplicates, report.conflicts) == (1, ())


@pytest.mark.parametrize(
    "change",
    [
        (b'"n": 1', b'"n": 2'),
        (b'"n": 1', b'"n": "1"'),
        (b'"call"', b'"calls"'),
        (b'"acme"', b'"acme2"'),
        (b"00:00:00Z", b"00:00:01Z"),
        (b"2026-02", b"2026-01"),
        (b'"time": "2026-02-01T00:00:00Z", ', b""),
    ],
)
def test_an_id_sent_again_with_another_content_is_a_conflict_and_the_first_stands(change: tuple[bytes, bytes]) -> None:
    send(GOOD)
    report = send(b'[{"id": "2", "type": "call", "subject": "acme"}, ' + GOOD.replace(*change) + b"]")
    assert (report.accepted, report.duplicates) == (1, 0)
    assert [(each.index, each.id, each.code) for each in report.conflicts] == [(1, "1", "conflict")]
    assert Event.objects.get(id="1").data == {"n": 1}


def test_a_time_left_out_and_then_sent_is_a_conflict() -> None:
    bare = GOOD.replace(b'"time": "2026-02-01T00:00:00Z", ', b"")
    send(bare)
    assert len(send(GOOD).conflicts) == 1
    assert send(bare).duplicates == 1
    assert Event.objects.get().ts == NOW


def test_a_hash_of_another_postgresql_version_makes_no_conflict() -> None:
    send(GOOD)
    bare = GOOD.replace(b'"1"', b'"2"').replace(b'"time": "2026-02-01T00:00:00Z", ', b"")
    send(bare)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE metering_key DISABLE TRIGGER USER")
        cursor.execute("UPDATE metering_key SET content = content # 12345")
        cursor.execute("ALTER TABLE metering_key ENABLE TRIGGER USER")
    report = send(b"[" + GOOD + b"," + bare + b"," + GOOD.replace(b'"n": 1', b'"n": 3') + b"]")
    assert (report.accepted, report.duplicates, [each.index for each in report.conflicts]) == (0, 2, [2])


def test_the_same_id_twice_in_a_batch_counts_once() -> None:
    other = GOOD.replace(b'"n": 1', b'"n": 2')
    report = send(b"[" + b",".join([GOOD, GOOD, other]) + b"]")
    assert (report.accepted, report.duplicates, [each.index for each in report.conflicts]) == (1, 1, [2])


def test_repeats_in_a_batch_are_held_against_what_is_stored() -> None:
    send(GOOD)
    other = GOOD.replace(b'"n": 1', b'"n": 2')
    report = send(b"[" + b",".join([other, GOOD, other]) + b"]")
    assert (report.accepted, report.duplicates, [each.index for each in report.conflicts]) == (0, 1, [0, 2])


def test_the_same_id_from_another_source_is_another_event() -> None:
    report = send(b"[" + GOOD + b"," + GOOD.replace(b"{", b'{"source": "other", ', 1) + b"]")
    assert report.accepted == 2


def test_every_bad_event_is_named_and_the_good_ones_are_kept() -> None:
    base = '"type": "call", "subject": "acme"'
    bodies = {
        "1": ("not_an_object", 0),
        '"x"': ("not_an_object", 1),
        f"{{{base}}}": ("missing_id", 2),
        '{"id": "a", "subject": "acme"}': ("missing_type", 3),
        '{"id": "a", "type": "call", "subject": ""}': ("missing_subject", 4),
        f'{{"id": 5, {base}}}': ("invalid_id", 5),
        f'{{"id": "{"x" * 1001}", {base}}}': ("id_too_long", 6),
        f'{{"id": "a", {base}, "time": "yesterday"}}': ("invalid_time", 7),
        f'{{"id": "a", {base}, "time": "2026-02-30T00:00:00Z"}}': ("invalid_time", 8),
        f'{{"id": "a", {base}, "time": "2026-02-01T00:00:00"}}': ("time_without_zone", 9),
        f'{{"id": "a", {base}, "time": "2026-03-01T12:05:01Z"}}': ("future_time", 10),
        f'{{"id": "a", {base}, "time": "1969-12-31T23:59:59Z"}}': ("implausible_time", 11),
        f'{{"id": "a\\u0000", {base}}}': ("nul_character", 12),
        f'{{"id": "a", {base}, "data": {{"x": "\\u0000"}}}}': ("nul_character", 13),
        f'{{"id": "a\\ud800", {base}}}': ("invalid_unicode", 14),
        f'{{"id": "a", {base}, "data": {{"x": "\\udc00"}}}}': ("invalid_unicode", 15),
        f'{{"id": "a", {base}, "data": [1]}}': ("data_not_an_object", 16),
        f'{{"id": "a", {base}, "data": null}}': ("data_not_an_object", 17),
        f'{{"id": "a", {base}, "time": 1700000000}}': ("invalid_time", 18),
        f'{{"id": "a", {base}, "data": {{"x": NaN}}}}': ("invalid_json", 19),
        f'{{"id": "a", {base}, "data": {{"x": 1e999999}}}}': ("invalid_data", 20),
        f'{{"id": "a", {base}, "source": ""}}': ("missing_source", 21),
        f'{{"id": "a", "type": "{"t" * 201}", "subject": "s"}}': ("type_too_long", 22),
        f'{{"id": "a", "type": "t", "subject": "{"€" * 900}"}}': ("subject_too_long", 23),
    }
    body = f"[{', '.join(bodies)}, {GOOD.decode()}]".encode()
    report = send(body)
    assert codes(report) == [(index, code) for code, index in bodies.values()]
    assert all(problem.message.endswith(".") for problem in report.rejected)
    assert report.rejected[6].id == "x" * 1001
    assert report.accepted == 1


def test_a_time_five_minutes_ahead_is_accepted() -> None:
    assert send(GOOD.replace(b"2026-02-01T00:00:00Z", b"2026-03-01T12:05:00Z")).accepted == 1


def test_times_are_cut_to_microseconds() -> None:
    send(GOOD.replace(b"00:00:00Z", b"23:59:59.9999999Z"))
    assert Event.objects.get().ts == datetime(2026, 2, 1, 23, 59, 59, 999999, tzinfo=UTC)


def test_numbers_are_kept_exactly() -> None:
    send(GOOD.replace(b'"n": 1', b'"n": 12345678901234567.123456789'))
    with connection.cursor() as cursor:
        cursor.execute("SELECT data->>'n' FROM metering_event")
        assert cursor.fetchone() == ("12345678901234567.123456789",)


def test_texts_of_any_kind_come_back_as_they_were_sent() -> None:
    texts = ['a"b', "a\\b", "a\nb\tc", "€ \U0001f600", "{1,2}", "NULL", ",", "a\x1eb", " ", "%s", "'; DROP TABLE x; --"]
    events = [new_event(id=text, type=text, subject=text, data={text: text}) for text in texts]
    assert send(events).accepted == len(texts)
    rows = Event.objects.select_related("type", "subject").order_by("n")
    assert [(row.id, row.type.name, row.subject.name, row.data) for row in rows] == [(t, t, t, {t: t}) for t in texts]
    assert send(events).duplicates == len(texts)


def test_keys_that_cloudevents_adds_are_passed_over() -> None:
    assert send(GOOD.replace(b"{", b'{"specversion": "1.0", "datacontenttype": "application/json", ', 1)).accepted == 1


@pytest.mark.parametrize(
    "body", [b"", b"x", b"[", b"[1,]", b"[1 2]", b'"text"', b"5", b"[] []", b"\xff", b"[" * 200_000]
)
def test_a_body_that_is_no_json_is_refused_as_a_whole(body: bytes) -> None:
    with pytest.raises(UnreadableBody):
        send(body)


def test_an_empty_list_changes_nothing() -> None:
    assert send(b"[]") == IngestReport()
    assert not EventBatch.objects.exists()


def test_more_events_than_the_limit_are_refused(settings: Settings) -> None:
    settings.USAGE_BATCH_LIMIT = 2
    with pytest.raises(TooManyEvents, match="at most 2"):
        send(b"[1, 2, 3]")


def test_events_without_a_source_are_refused_where_no_default_is_set() -> None:
    report = ingest(events=GOOD, origin="api", now=NOW)
    assert codes(report) == [(0, "missing_source")]


def test_events_and_keys_cannot_be_changed_or_deleted() -> None:
    send(GOOD)
    attempts = [
        lambda: Event.objects.update(id="other"),
        lambda: Event.objects.all().delete(),
        lambda: EventKey.objects.update(content=0),
        lambda: EventKey.objects.all().delete(),
    ]
    for attempt in attempts:
        with pytest.raises(DatabaseError, match="Cannot update or delete"), transaction.atomic():
            attempt()
    assert Event.objects.get().id == "1"


def test_a_batch_spans_months_and_years() -> None:
    times = [NOW - timedelta(days=31 * month) for month in range(30)]
    events = [new_event(id=str(n), type="t", subject="s", data={}, time=at) for n, at in enumerate(times)]
    assert send(events).accepted == 30
    assert {row.ts for row in Event.objects.all()} == set(times)


def test_queries_do_not_grow_with_events() -> None:
    def queries(count: int, prefix: str) -> int:
        events = [new_event(id=f"{prefix}{n}", type="t", subject=f"s{prefix}{n}", data={}) for n in range(count)]
        with CaptureQueriesContext(connection) as captured:
            send(events)
        return len(captured)

    queries(1, "warm")
    assert queries(500, "b") == queries(2, "a")
