"""Lanes: many requests in one commit, and an answer for each of them whatever happens to the others."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from threading import Event as Signal
from typing import Any

import pytest
from django.db import OperationalError, connection

from billing.metering import access
from billing.metering.access import KnownKey
from billing.metering.front.lanes import Lane, Lanes
from billing.metering.models import Event, EventBatch
from billing.metering.services import create_api_key
from billing.metering.validate import NewEvent, Reading, new_event

pytestmark = pytest.mark.django_db(transaction=True)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def lanes() -> Iterator[Lanes]:
    made = Lanes(2)
    yield made
    made.end()


@pytest.fixture
def key() -> KnownKey:
    _, secret = create_api_key(name="app", default_source="app", user=None, now=NOW)
    return access.authenticate(f"Bearer {secret}", "ingest", NOW)


def reading(*numbers: int) -> Reading:
    def call(number: int) -> NewEvent:
        return new_event(id=str(number), type="call", subject="acme", data={"n": number}, time=NOW)

    return Reading([(place, call(number)) for place, number in enumerate(numbers)], [])


def held(lane: Lane, last: Callable[[], Any]) -> Callable[[], None]:
    """Keep the lane's thread busy until what is returned is called, which ends with `last`: what is handed gathers."""
    busy, go = Signal(), Signal()
    pool = ThreadPoolExecutor(1)
    pool.submit(lane.hand, lambda: (busy.set(), go.wait(30), last()))
    assert busy.wait(30)

    def release() -> None:
        go.set()
        pool.shutdown()

    return release


def gathered(lanes: Lanes, handed: list[tuple[Reading, KnownKey]], last: Callable[[], Any] = lambda: None) -> list[Any]:
    """Hand all in while the lane is busy; the report of each, or its error. `last` is done just before them."""

    def store(one: tuple[Reading, KnownKey]) -> Any:
        try:
            return lanes.store(*one)
        except Exception as error:
            return error

    release = held(lanes.small, last)
    with ThreadPoolExecutor(len(handed)) as pool:
        answers = [pool.submit(store, one) for one in handed]
        while lanes.small._tickets.qsize() < len(handed):
            pass
        release()
        return [answer.result(30) for answer in answers]


def test_it_works(lanes: Lanes, key: KnownKey) -> None:
    assert lanes.store(reading(1, 2, 1), key).duplicates == 1
    assert lanes.store(reading(*range(300)), key).accepted == 298
    assert lanes.ask(lambda: Event.objects.count()) == 300


def test_what_gathers_while_a_commit_is_under_way_is_one_commit(lanes: Lanes, key: KnownKey) -> None:
    reports = gathered(lanes, [(reading(n), key) for n in range(30)])
    assert [report.accepted for report in reports] == [1] * 30
    assert EventBatch.objects.count() == 1


def test_one_request_that_fails_leaves_the_others_their_answers(lanes: Lanes, key: KnownKey) -> None:
    """A key whose number no column holds: it makes the common transaction fail, and then only its own."""
    handed = [(reading(n), replace(key, pk=2**40) if n == 7 else key) for n in range(15)]
    answers = gathered(lanes, handed)
    assert isinstance(answers.pop(7), Exception)
    assert [report.accepted for report in answers] == [1] * 14
    assert Event.objects.count() == 14
    assert lanes.store(reading(7), key).accepted == 1


def test_a_broken_connection_is_replaced_without_anybody_noticing(lanes: Lanes, key: KnownKey) -> None:
    for number in range(3):
        process = lanes.ask(lambda: connection.connection.info.backend_pid)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [process])
        assert lanes.store(reading(number), key).accepted == 1


def test_a_database_that_is_away_fails_all_and_is_found_again(lanes: Lanes, key: KnownKey) -> None:
    lanes.store(reading(0), key)
    name = connection.settings_dict["NAME"]

    def leave() -> None:
        connection.settings_dict["NAME"] = "a_database_that_is_away"
        connection.close()

    answers = gathered(lanes, [(reading(n), key) for n in range(10)], leave)
    assert {type(answer) for answer in answers} == {OperationalError}
    connection.settings_dict["NAME"] = name
    assert lanes.store(reading(*range(10)), key).accepted == 9


def test_a_lane_that_was_ended_from_within_answers_and_goes_on(lanes: Lanes, key: KnownKey) -> None:
    def leave() -> None:
        raise SystemExit

    with pytest.raises(SystemExit):
        lanes.ask(leave)
    assert lanes.store(reading(1), key).accepted == 1


def test_a_process_that_was_forked_has_lanes_of_its_own(lanes: Lanes, key: KnownKey) -> None:
    lanes.store(reading(1), key)
    before, queue = list(lanes.small._threads), lanes.small._tickets
    lanes.small._process = -1  # as if the lane had been begun by another process
    assert lanes.store(reading(2), key).accepted == 1
    assert not set(before) & set(lanes.small._threads)
    for thread in before:  # a fork would not have it
        queue.put(None)
        thread.join()
