"""Many senders at once: every event counts once, whoever sends it, in whatever order, however often."""

import http.client
import json
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from django.db import connection, transaction
from hypothesis import given
from hypothesis import strategies as st

from billing.metering import names, partitions
from billing.metering.models import Event, EventBatch, EventKey, EventSubject
from billing.metering.services import IngestReport, create_api_key, ingest
from billing.metering.validate import new_event

pytestmark = pytest.mark.django_db(transaction=True)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def together(count: int, work: Callable[[int], Any]) -> list[Any]:
    """Run the work in threads that begin at the same moment, each on a connection of its own."""
    barrier = Barrier(count)

    def begin(number: int) -> Any:
        try:
            connection.ensure_connection()
            barrier.wait()
            return work(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(begin, range(count)))


def send(*events: Any) -> IngestReport:
    return ingest(events=events, origin="test", default_source="app", now=NOW)


def call(number: int, n: int = 0, **fields: Any) -> Any:
    given = {"id": str(number), "type": "call", "subject": f"s{number % 7}", "data": {"n": n}}
    return new_event(**(given | fields))


def test_it_works() -> None:
    reports = together(2, lambda number: send(call(1)))
    assert sorted(report.accepted for report in reports) == [0, 1]
    assert Event.objects.count() == 1


def test_overlapping_batches_of_eight_clients_leave_one_row_for_each_event(live_server: Any) -> None:
    _, secret = create_api_key(name="app", default_source="app", user=None, now=NOW)
    numbers = list(range(2000))

    def client(seed: int) -> list[dict[str, Any]]:
        mine = random.Random(seed).sample(numbers, 1500)
        server = http.client.HTTPConnection(live_server.thread.host, live_server.thread.port)
        headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
        answers = []
        for start in range(0, len(mine), 300):
            events = [
                {"id": str(n), "type": f"t{n % 3}", "subject": f"s{n % 50}", "data": {"n": n},
                 "time": f"2025-{n % 12 + 1:02}-01T00:00:00Z"} for n in mine[start : start + 300]
            ]  # fmt: skip
            server.request("POST", "/api/v1/events", json.dumps(events), headers)
            with server.getresponse() as response:
                answers.append(json.loads(response.read()))
        server.close()
        return answers

    answers = [answer for of_client in together(8, client) for answer in of_client]
    sent = {str(n) for seed in range(8) for n in random.Random(seed).sample(numbers, 1500)}
    assert sum(answer["accepted"] for answer in answers) == len(sent)
    assert sum(answer["accepted"] + answer["duplicates"] for answer in answers) == 8 * 1500
    assert not any(answer["conflicts"] or answer["rejected"] for answer in answers)
    stored = list(Event.objects.values_list("id", flat=True))
    assert sorted(stored) == sorted(sent)
    assert EventKey.objects.count() == len(sent)


def test_two_contents_for_one_id_at_once_leave_one_and_a_conflict() -> None:
    for number in range(5):
        reports = together(4, lambda n, number=number: send(call(number, n=n % 2)))
        assert sorted(report.accepted for report in reports) == [0, 0, 0, 1]
        assert sum(report.duplicates for report in reports) == 1
        assert sum(len(report.conflicts) for report in reports) == 2


def test_batches_with_the_same_keys_in_another_order_do_not_fail() -> None:
    events = [call(number) for number in range(500)]
    for turn in range(4):
        batch = [call(number, id=f"{turn}-{number}") for number in range(500)]
        reports = together(4, lambda n, batch=batch: send(*random.Random(n).sample(batch, len(batch))))
        assert sum(report.accepted for report in reports) == len(events)


def test_a_months_table_is_made_once_by_two_first_events() -> None:
    moments = [datetime(1990 + year, 5, 1, tzinfo=UTC) for year in range(6)]
    for place, moment in enumerate(moments):
        partitions.forget()
        reports = together(4, lambda n, p=place, at=moment: send(call(n, id=f"{p}-{n}", time=at)))
        assert [report.accepted for report in reports] == [1, 1, 1, 1]
    with connection.cursor() as cursor:
        cursor.execute("SELECT tableoid::regclass::text, count(*) FROM metering_event GROUP BY 1 ORDER BY 1")
        assert cursor.fetchall() == [(partitions.table_of(f"{moment:%Y-%m}"), 4) for moment in moments]


def test_making_a_month_makes_no_reader_or_writer_of_another_wait() -> None:
    send(call(1, time=NOW))

    def other(number: int) -> int:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '2s'")
            cursor.execute("SELECT count(*) FROM metering_event")
        return send(call(2, time=NOW)).accepted

    with transaction.atomic():
        partitions.ensure(["1985-01"])
        assert together(1, other) == [1]


def test_a_month_that_was_remembered_and_is_gone_is_made_again() -> None:
    moment = datetime(1984, 3, 1, tzinfo=UTC)
    send(call(1, time=moment))
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE {partitions.table_of('1984-03')}")
    assert send(call(2, time=moment)).accepted == 1


def test_month_tables_have_the_parents_indexes_and_guards() -> None:
    send(call(1, time=NOW))
    table = partitions.table_of("2026-03")
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE tablename = %s ORDER BY 1", [table])
        kinds = [row[0].split(" USING ")[1] for row in cursor.fetchall()]
        cursor.execute("SELECT count(*) FROM pg_trigger WHERE tgrelid = %s::regclass", [table])
        assert cursor.fetchone() == (1,)
    assert kinds == ["brin (batch) WITH (autosummarize='on', pages_per_range='8')", "btree (subject_id, type_id, ts)"]


def test_a_new_name_gets_one_number_from_many_first_senders() -> None:
    for turn in range(5):
        wanted = {f"{turn}-{n}" for n in range(20)}
        found = together(4, lambda n, wanted=wanted: names.subjects.resolve(wanted))
        assert all(each == found[0] for each in found)
    assert EventSubject.objects.count() == 100


def test_a_name_that_is_rolled_back_is_not_remembered() -> None:
    with transaction.atomic():
        lost = names.subjects.resolve({"ghost"})
        transaction.set_rollback(True)
    assert not EventSubject.objects.exists()
    names.subjects.resolve({"other"})
    found = names.subjects.resolve({"ghost"})
    assert EventSubject.objects.get(name="ghost").pk == found["ghost"] != lost["ghost"]


def test_a_name_read_in_a_transaction_that_made_it_is_not_remembered_either() -> None:
    with transaction.atomic():
        send(call(1, subject="ghost"))
        send(call(2, subject="ghost"))
        transaction.set_rollback(True)
    assert send(call(3, subject="ghost")).accepted == 1
    assert Event.objects.select_related("subject").get().subject.name == "ghost"


_events = st.tuples(
    st.integers(0, 5), st.sampled_from(["a", "b"]), st.integers(0, 2), st.sampled_from(["s", "t", None])
)


@given(batches=st.lists(st.lists(_events, max_size=8), max_size=6))
def test_whatever_is_sent_each_key_stands_once_with_the_first_content(batches: list[list[tuple[Any, ...]]]) -> None:
    with transaction.atomic():
        base = EventBatch.objects.count()
        first: dict[tuple[str, int], tuple[str, int]] = {}
        for batch in batches:
            times = [NOW - timedelta(days=40 * n) for _, _, n, _ in batch]
            report = send(
                *(call(i, n=n, subject=s, source=q, time=at) for (i, s, n, q), at in zip(batch, times, strict=True))
            )
            accepted = duplicates = conflicts = 0
            for i, s, n, source in batch:
                stands = first.get((source or "app", i))
                if stands is None:
                    first[source or "app", i] = (s, n)
                    accepted += 1
                elif stands == (s, n):
                    duplicates += 1
                else:
                    conflicts += 1
            assert (report.accepted, report.duplicates, len(report.conflicts)) == (accepted, duplicates, conflicts)
        rows = Event.objects.select_related("source", "subject")
        assert {(row.source.name, int(row.id)): (row.subject.name, row.data["n"]) for row in rows} == first
        assert Event.objects.count() == EventKey.objects.count() == len(first)
        assert EventBatch.objects.count() - base <= len(batches)
        transaction.set_rollback(True)
