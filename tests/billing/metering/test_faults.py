"""What breaks under ingest on the real server: workers and databases that end, locks, full disks. No event is lost."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from email.message import Message
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connection

from billing.metering.models import Event, EventKey
from billing.metering.services import create_api_key
from config import clock
from config.embedded import cluster, programs

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).resolve().parents[3]


def serve(environment: dict[str, str], *options: str) -> tuple[subprocess.Popen[bytes], int]:
    """Granian with the project, and its port, once it answers."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
    command = [sys.executable, "-m", "granian", "config.wsgi:application", "--interface", "wsgi", "--port", str(port),
               "--blocking-threads", "8", "--log-level", "error", "--workers-kill-timeout", "10", *options]  # fmt: skip
    server = subprocess.Popen(command, cwd=ROOT, env=os.environ | environment)
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return server, port
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the server did not start")


@pytest.fixture
def secret() -> str:
    return create_api_key(name="app", default_source="app", user=None, now=clock.now())[1]


@pytest.fixture
def server(transactional_db: None) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    environment = {"METERBOOK_DATABASE_NAME": connection.settings_dict["NAME"], "USAGE_LOCK_TIMEOUT_SECONDS": "1"}
    started = serve(environment, "--workers", "2", "--respawn-failed-workers", "--respawn-interval", "0.2")
    yield started
    started[0].terminate()
    started[0].wait(30)


def post(port: int, secret: str, events: Any) -> tuple[int, Message, Any]:
    """Status, headers and JSON; OSError or HTTPException when the connection breaks."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
        client.request("POST", "/api/v1/events", json.dumps(events), headers)
        answer = client.getresponse()
        return answer.status, answer.headers, json.loads(answer.read())
    finally:
        client.close()


def persistently(port: int, secret: str, events: Any, seen: list[tuple[int, Message]] | None = None) -> Any:
    """Send until it is answered with 200, as a good sender does; what was answered before is put into `seen`."""
    for _ in range(600):
        try:
            status, headers, report = post(port, secret, events)
        except (OSError, http.client.HTTPException):
            time.sleep(0.1)
            continue
        if status == 200:
            return report
        if seen is not None:
            seen.append((status, headers))
        time.sleep(0.1)
    raise AssertionError("no answer came")


def call(number: int) -> dict[str, Any]:
    return {"id": str(number), "type": "call", "subject": f"s{number % 40}", "data": {"n": number},
            "time": f"2026-01-{number % 28 + 1:02}T00:00:00Z"}  # fmt: skip


def workers_of(server: subprocess.Popen[bytes]) -> list[int]:
    return [int(each) for each in Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()]


@pytest.mark.deep
def test_workers_killed_in_the_middle_of_batches_lose_and_double_nothing(server: Any, secret: str) -> None:
    process, port = server
    batches = [[call(n) for n in range(start, start + 400)] for start in range(0, 40_000, 400)]
    batches += [[call(n)] for n in range(40_000, 40_200)]
    done = threading.Event()

    def kill() -> int:
        killed = 0
        while not done.wait(0.15) and killed < 6:
            for worker in workers_of(process)[:1]:
                os.kill(worker, signal.SIGKILL)
                killed += 1
        return killed

    with ThreadPoolExecutor(9) as pool:
        killer = pool.submit(kill)
        reports = list(pool.map(lambda events: persistently(port, secret, events), batches))
        done.set()
        assert killer.result() >= 2
    assert not any(report["conflicts"] or report["rejected"] for report in reports)
    again = [persistently(port, secret, events) for events in batches]
    assert sum(report["accepted"] for report in again) == 0
    assert sorted(map(int, Event.objects.values_list("id", flat=True))) == list(range(40_200))
    assert EventKey.objects.count() == 40_200


@pytest.mark.deep
def test_a_restart_of_postgresql_is_said_with_503_and_loses_nothing(tmp_path: Path) -> None:
    data = tmp_path / "postgres"
    account = programs.account_for(data)
    cluster.bring_up(data, account, {})
    environment = {
        "DATABASE_URL": f"postgres://{cluster.address(data)['host']}/postgres".replace("postgres:///", "postgres:////"),
        "PGUSER": "postgres",
        "METERBOOK_DATABASE_NAME": "postgres",
    }
    try:
        manage = [sys.executable, "manage.py"]
        subprocess.run([*manage, "migrate", "-v0"], cwd=ROOT, env=os.environ | environment, check=True)
        made = subprocess.run([*manage, "shell", "-v0", "-c", MAKE_KEY], cwd=ROOT, env=os.environ | environment,
                              check=True, capture_output=True, text=True)  # fmt: skip
        server, port = serve(environment, "--workers", "2")
        try:
            accepted, seen = _through_restarts(port, made.stdout.strip(), data, account)
        finally:
            server.terminate()
            server.wait(30)
        refused = [(status, headers["Retry-After"]) for status, headers in seen]
        assert set(refused) == {(503, "5")}
        with psycopg.connect(dbname="postgres", **cluster.address(data)) as bare:
            ids = [int(row[0]) for row in bare.execute("SELECT id FROM metering_event")]
        assert sorted(ids) == sorted(accepted)
        assert len(ids) > 100
    finally:
        cluster.stop(data, account)


MAKE_KEY = """
from billing.metering.services import create_api_key
from config import clock
print(create_api_key(name="app", default_source="app", user=None, now=clock.now())[1])
"""


def _through_restarts(port: int, secret: str, data: Path, account: Any) -> tuple[list[int], list[Any]]:
    """Send from four threads, single events and batches, while the database restarts twice: what was answered."""
    accepted: list[int] = []
    seen: list[tuple[int, Message]] = []
    done = threading.Event()

    def sender(place: int) -> None:
        for first in range(place * 10**6, (place + 1) * 10**6, 150):
            if done.is_set():
                break
            numbers = list(range(first, first + (150 if place else 1)))  # one sends single events
            persistently(port, secret, [call(number) for number in numbers], seen)
            accepted.extend(numbers)

    with ThreadPoolExecutor(4) as pool:
        senders = [pool.submit(sender, place) for place in range(4)]
        for _ in range(2):
            time.sleep(2)
            before, latest = len(seen), time.monotonic() + 30
            cluster.stop(data, account)
            time.sleep(2)
            while len(seen) == before and time.monotonic() < latest:  # on a busy machine a sender takes a while
                time.sleep(0.1)
            cluster.bring_up(data, account, {})
        time.sleep(2)
        done.set()
        for each in senders:
            each.result(60)
    return accepted, seen


def test_a_lock_that_another_session_holds_is_answered_with_503(server: Any, secret: str) -> None:
    _, port = server
    assert post(port, secret, call(1))[0] == 200
    params = connection.get_connection_params()
    with psycopg.connect(**{name: params[name] for name in ("dbname", "host", "hostaddr", "port", "user")}) as other:
        other.execute("LOCK TABLE metering_event IN ACCESS EXCLUSIVE MODE")
        begun = time.monotonic()
        for events in (call(2), [call(n) for n in range(3, 300)]):
            status, headers, problem = post(port, secret, events)
            assert (status, headers["Retry-After"], problem["code"]) == (503, "5", "unavailable")
        assert time.monotonic() - begun < 10
        other.rollback()
    assert post(port, secret, [call(n) for n in range(300)])[2]["accepted"] == 299


def test_a_full_disk_is_answered_with_503_and_stores_nothing(server: Any, secret: str) -> None:
    """The server's own error for it, raised where PostgreSQL would: in the middle of the statement."""
    _, port = server
    with connection.cursor() as cursor:
        cursor.execute("""
            CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full';
            END $$;
            CREATE TRIGGER full_disk AFTER INSERT ON metering_event EXECUTE FUNCTION full_disk();
        """)
        try:
            for events in (call(1), [call(n) for n in range(200)]):
                status, headers, problem = post(port, secret, events)
                assert (status, headers["Retry-After"], problem["code"]) == (503, "5", "unavailable")
        finally:
            cursor.execute("DROP FUNCTION full_disk CASCADE")
    assert not Event.objects.exists()
    assert not EventKey.objects.exists()
    assert post(port, secret, [call(n) for n in range(200)])[2]["accepted"] == 200


def test_two_first_events_of_a_month_at_the_same_moment_make_it_once(server: Any, secret: str) -> None:
    _, port = server
    for year in (1991, 1992, 1993):
        events = [call(year * 10 + n) | {"time": f"{year}-05-01T00:00:00Z"} for n in range(8)]
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda event: post(port, secret, event), events))
        assert [status for status, _, _ in answers] == [200] * 8
        assert sum(report["accepted"] for _, _, report in answers) == 8


def test_a_key_that_is_revoked_ends_in_every_process_within_seconds(server: Any) -> None:
    from billing.metering.access.models import ApiKeyUse
    from billing.metering.services import revoke_api_key

    _, port = server
    key, secret = create_api_key(name="app", default_source="app", user=None, now=clock.now())
    for number in range(20):  # enough that both processes know it
        assert post(port, secret, call(number))[0] == 200
    revoke_api_key(key=key, now=clock.now())
    time.sleep(2.1)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: post(port, secret, call(number)), range(40)))
    assert {(status, problem["code"]) for status, _, problem in answers} == {(401, "key_revoked")}
    assert ApiKeyUse.objects.get(key=key).refused_count == 40
