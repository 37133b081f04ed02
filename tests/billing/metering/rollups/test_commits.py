"""Rollups follow what is committed, in whatever order: no event is ever missed, and none counts twice."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from django.db import connection, transaction

from billing.metering import store
from billing.metering.asking import BEGINNING, Request
from billing.metering.corrections import services as corrections
from billing.metering.corrections.criteria import Criteria
from billing.metering.corrections.errors import NothingToCorrect
from billing.metering.models import Event, EventBatch, Meter
from billing.metering.rollups import services as rollups
from billing.metering.rollups.models import DayCount, PendingBatch
from billing.metering.services import ingest
from billing.metering.validate import new_event
from billing.periods import Period

pytestmark = pytest.mark.django_db(transaction=True)
NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
MARCH = Period(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC))
SUBJECTS = ("a", "b", "c")


def some_meter(aggregation: str = "sum", value: str = "n") -> Meter:
    meter = Meter.objects.create(code=aggregation, name="m", event_type="call", aggregation=aggregation, value=value)
    rollups.build(meter_id=meter.pk)
    meter.refresh_from_db()
    assert meter.rollup_ready
    return meter


def call(name: str, n: int = 1, subject: str = "a", at: datetime = NOW) -> Any:
    return new_event(id=name, type="call", subject=subject, data={"n": n}, time=at)


def send(*events: Any) -> None:
    ingest(events=events, origin="test", default_source="app", now=NOW)


def total(meter: Meter, *subjects: str) -> int:
    claims = tuple((subject, Period(BEGINNING, None)) for subject in subjects or SUBJECTS)
    return int(store.quantities(meter, [Request(1, claims, MARCH)])[1].value)


@contextmanager
def another_connection(work: Any) -> Iterator[None]:
    """Run work in a thread of its own, on its own connection; wait for its end on leaving."""

    def run() -> None:
        try:
            work()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    yield
    thread.join(30)
    assert not thread.is_alive()


def in_another_connection(work: Any) -> None:
    """Run work to its end on a connection of its own."""
    with another_connection(work):
        pass


def test_it_works() -> None:
    meter = some_meter()
    send(call("1", 5))
    assert total(meter) == 5
    assert rollups.step() == 1
    assert (total(meter), PendingBatch.objects.count(), DayCount.objects.get().n) == (5, 0, 1)
    assert rollups.step() == 0


def test_a_lower_batch_that_commits_after_a_higher_one_was_rolled_up_is_counted() -> None:
    """The control is what a watermark over batch numbers would say: it misses the late one, and for good."""
    meter = some_meter()
    send(call("first", 0))  # the month's table and the names are there
    rollups.catch_up()
    begun, finish = threading.Event(), threading.Event()

    def slow() -> None:
        with transaction.atomic():
            send(call("slow", 100))
            begun.set()
            assert finish.wait(30)

    with another_connection(slow):
        assert begun.wait(30)
        send(call("quick", 1))
        assert rollups.step() == 1
        watermark = EventBatch.objects.latest("no").no
        assert total(meter) == 1
        finish.set()
    late = EventBatch.objects.get(position=None)
    assert late.no < watermark
    assert Event.objects.filter(batch_id__gt=watermark).count() == 0  # the control: it would never come
    assert total(meter) == 101
    assert rollups.step() == 1
    assert total(meter) == 101
    late.refresh_from_db()
    assert late.position == 3  # the order in which they became known, not that of their numbers


def test_an_answer_does_not_change_while_a_step_commits() -> None:
    meter = some_meter()
    for place in range(20):
        send(call(f"e{place}", 1, SUBJECTS[place % 3]))
    answers: list[int] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            answers.append(total(meter))

    with another_connection(ask):
        while rollups.step(limit=1):
            assert total(meter) == 20
        stop.set()
    assert set(answers) == {20}


def test_two_runners_take_each_batch_once() -> None:
    meter = some_meter()
    for place in range(40):
        send(call(f"e{place}"))
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: in_another_connection(lambda: [rollups.step(limit=3) for _ in range(30)]), range(2)))
    rollups.catch_up()
    assert total(meter) == 40 == sum(DayCount.objects.values_list("n", flat=True))
    positions = list(EventBatch.objects.order_by("position").values_list("position", flat=True))
    assert positions == list(range(1, 41))


def test_a_step_that_fails_changes_nothing() -> None:
    meter = some_meter()
    send(call("1", 5))
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE metering_activity ADD CONSTRAINT broken CHECK (n < 0)")
        try:
            with pytest.raises(Exception, match="broken"):
                rollups.step()
        finally:
            cursor.execute("ALTER TABLE metering_activity DROP CONSTRAINT broken")
    assert (total(meter), PendingBatch.objects.count(), DayCount.objects.count()) == (5, 1, 0)
    assert rollups.step() == 1
    assert (total(meter), DayCount.objects.get().n) == (5, 1)


def test_a_meter_that_is_built_while_batches_come_and_go_misses_none() -> None:
    send(*(call(f"old{place}") for place in range(30)))
    some_meter("max")
    rollups.catch_up()
    meter = Meter.objects.create(code="late", name="m", event_type="call", aggregation="sum", value="n")
    stop = threading.Event()
    sent: list[int] = []

    def writer() -> None:
        while not stop.is_set():
            send(call(f"new{len(sent)}"))
            sent.append(1)
            rollups.step(limit=2)

    with another_connection(writer):
        assert rollups.build(meter_id=meter.pk)
        stop.set()
    meter.refresh_from_db()
    assert total(meter) == 30 + len(sent)
    rollups.catch_up()
    assert total(meter) == 30 + len(sent) == sum(DayCount.objects.filter(rollup=meter.rollup).values_list("n", flat=1))


@pytest.mark.deep
def test_many_writers_correctors_runners_and_readers_never_disagree() -> None:
    """Six writers, some slow, some rolled back, some late; corrections; two runners; a reader that recounts."""
    meters = [some_meter(), some_meter("count", ""), some_meter("max"), some_meter("latest")]
    stop = threading.Event()

    def write(number: int) -> None:
        dice = Random(number)
        for place in range(60):
            at = NOW - timedelta(minutes=dice.randint(0, 2400))
            with transaction.atomic():
                send(*(call(f"{number}/{place}/{n}", n, dice.choice(SUBJECTS), at) for n in range(5)))
                if dice.random() < 0.05:
                    stop.wait(dice.random())
                transaction.set_rollback(dice.random() < 0.15)

    def correct() -> None:
        dice = Random(99)
        while not stop.is_set():
            ids = tuple(f"{dice.randint(0, 5)}/{dice.randint(0, 59)}/{n}" for n in range(3))
            try:
                made = corrections.void(criteria=Criteria(ids=ids, source="app"), reason="x", user=None, now=NOW)
            except NothingToCorrect:
                continue
            if dice.random() < 0.3:
                corrections.undo(correction=made, reason="y", user=None, now=NOW)

    def roll() -> None:
        while not stop.is_set():
            rollups.step(limit=3)

    wrong: list[str] = []
    looks: list[int] = []

    def read() -> None:
        while not stop.is_set():
            for meter in meters:
                wrong.extend(disagreement(meter))
                looks.append(1)

    threads = [threading.Thread(target=closing(work)) for work in (correct, roll, roll, read)]
    for thread in threads:
        thread.start()
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda number: closing(lambda: write(number))(), range(6)))
    stop.set()
    for thread in threads:
        thread.join(60)
    rollups.catch_up()
    assert wrong == []
    assert len(looks) > 20
    assert [each for meter in meters for each in disagreement(meter)] == []


def closing(work: Any) -> Any:
    """The work, after which its thread's connection is closed."""

    def run() -> None:
        try:
            work()
        finally:
            connection.close()

    return run


def disagreement(meter: Meter) -> list[str]:
    """Where an answer from rollups differs from one from the events alone, both in one snapshot."""
    claims = tuple((subject, Period(BEGINNING, None)) for subject in SUBJECTS)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        fast = store.quantities(meter, [Request(1, claims, MARCH)])[1]
        plain = Meter.objects.get(pk=meter.pk)
        plain.rollup_ready = False
        slow = store.quantities(plain, [Request(1, claims, MARCH)])[1]
    return [] if fast == slow else [f"{meter.aggregation}: {fast} is not {slow}"]
