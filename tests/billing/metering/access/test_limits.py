"""Rate limits: what a key may send, over several processes, and when it may again."""

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from billing.metering import access
from billing.metering.access import limits
from billing.metering.access.known import KnownKey
from billing.metering.access.models import ApiKeyUse
from billing.metering.errors import Refusal
from billing.metering.services import create_api_key
from config import clock

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture(autouse=True)
def _no_lots(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process that has just begun."""
    monkeypatch.setattr(limits, "_leases", {})


def known(rate_limit: int | None) -> KnownKey:
    _, secret = create_api_key(name="app", default_source="app", user=None, now=NOW, rate_limit=rate_limit)
    return access.authenticate(f"Bearer {secret}", "ingest", NOW)


@pytest.mark.django_db
def test_it_works() -> None:
    key = known(5)
    admitted = [access.delay(key, 1) == 0 for _ in range(20)]
    assert 5 <= sum(admitted) <= 7
    with pytest.raises(Refusal, match="more than its limit of 5 events a second") as caught:
        access.charge(key, 1)
    assert (caught.value.status, caught.value.code) == (429, "rate_limited")
    time.sleep(int(caught.value.headers["Retry-After"]))
    access.charge(key, 1)


@pytest.mark.django_db
def test_a_key_without_a_limit_needs_no_query() -> None:
    key = known(None)
    with CaptureQueriesContext(connection) as queries:
        assert access.delay(key, 10**9) == 0
    assert len(queries) == 0


@pytest.mark.django_db
def test_one_request_may_overdraw_and_the_following_wait_until_it_is_paid_back() -> None:
    key = known(100)
    assert access.delay(key, 1000) == 0
    assert access.delay(key, 1) in (8, 9, 10)
    assert ApiKeyUse.objects.get(key=key.pk).balance < -800


@pytest.mark.django_db
def test_lots_keep_the_database_out_of_most_requests_and_refusals_too() -> None:
    key = known(10_000)
    with CaptureQueriesContext(connection) as queries:
        assert sum(access.delay(key, 1) == 0 for _ in range(2000)) == 2000
    assert len(queries) <= 8
    key = known(1)
    access.delay(key, 10)
    access.delay(key, 1)
    with CaptureQueriesContext(connection) as queries:
        assert all(access.delay(key, 1) > 0 for _ in range(100))
    assert len(queries) == 0


@pytest.mark.django_db
def test_the_api_says_429_and_when_to_come_again() -> None:
    _, secret = create_api_key(name="app", default_source="app", user=None, now=NOW, rate_limit=2)
    headers = {"Authorization": f"Bearer {secret}"}
    event = {"id": "1", "type": "call", "subject": "acme"}
    answers = [
        Client().post("/api/v1/events", json.dumps([event] * 20), "application/json", headers=headers) for _ in "12"
    ]
    assert [answer.status_code for answer in answers] == [200, 429]
    assert answers[1]["Content-Type"] == "application/problem+json"
    assert int(answers[1]["Retry-After"]) in (8, 9)


@pytest.mark.django_db
def test_a_stream_is_slowed_down_to_the_limit_and_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sent again from its beginning, it would be cut at the same place again."""
    slept: list[int] = []
    real = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: (slept.append(seconds), real(seconds)))
    _, secret = create_api_key(name="app", default_source="app", user=None, now=NOW, rate_limit=1500)
    lines = "".join(json.dumps({"id": str(n), "type": "call", "subject": "acme"}) + "\n" for n in range(4000))
    headers = {"Authorization": f"Bearer {secret}"}
    answer = Client().post("/api/v1/events", lines, "application/x-ndjson", headers=headers)
    assert (answer.status_code, answer.json()["accepted"]) == (200, 4000)
    assert sum(slept) >= 1


SENDER = """
import sys, time, django
django.setup()
from billing.metering import access
from config import clock
key = access.authenticate("Bearer " + sys.argv[1], "ingest", clock.now())
print("ready", flush=True)
sys.stdin.readline()
begin, admitted = time.monotonic(), 0
while time.monotonic() - begin < 3:
    if access.delay(key, 1) == 0:
        admitted += 1
print(admitted, flush=True)
"""


@pytest.mark.deep
@pytest.mark.django_db(transaction=True)
def test_several_processes_share_one_limit() -> None:
    limit = 400
    _, secret = create_api_key(name="app", default_source="app", user=None, now=clock.now(), rate_limit=limit)
    environment = os.environ | {"METERBOOK_DATABASE_NAME": connection.settings_dict["NAME"]}
    processes: list[Any] = [
        subprocess.Popen([sys.executable, "-c", SENDER, secret], cwd=ROOT, env=environment, text=True,
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(3)
    ]  # fmt: skip
    for each in processes:
        assert each.stdout.readline() == "ready\n"
    for each in processes:
        each.stdin.write("\n")
        each.stdin.flush()
    admitted = sum(int(each.communicate(timeout=60)[0]) for each in processes)
    assert (
        limit * 2 <= admitted <= limit * 4 + 3 * limit // limits.LOTS + limit
    )  # a second's worth, lots, and a late begin
