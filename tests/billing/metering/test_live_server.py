"""The API on the real server: bodies in chunks, streams in bounded memory, and senders with the CloudEvents kit."""

import gzip
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from cloudevents.conversion import to_binary, to_structured
from cloudevents.http import CloudEvent
from django.db import connection

from billing.metering.models import Event
from billing.metering.services import create_api_key
from config import clock

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).resolve().parents[3]
NDJSON = {"Content-Type": "application/x-ndjson"}


class Server:
    """Granian on the test's database, and a key to it."""

    def __init__(self) -> None:
        with socket.socket() as reserved:
            reserved.bind(("127.0.0.1", 0))
            self.port = reserved.getsockname()[1]
        self.secret = create_api_key(name="app", default_source="app", user=None, now=clock.now())[1]
        environment = os.environ | {"METERBOOK_DATABASE_NAME": connection.settings_dict["NAME"]}
        command = [sys.executable, "-m", "granian", "config.wsgi:application", "--interface", "wsgi", "--port",
                   str(self.port), "--blocking-threads", "2", "--log-level", "warning"]  # fmt: skip
        self.process = subprocess.Popen(command, cwd=ROOT, env=environment)
        wait_for(self._answers)

    def _answers(self) -> bool:
        try:
            return self.post(b"{}", {"Content-Type": "application/json"})[0] == 200
        except OSError:
            return False

    def post(self, body: Any, headers: dict[str, str]) -> tuple[int, Any]:
        """Status and JSON; a body that is no bytes is sent in chunks."""
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            client.request("POST", "/api/v1/events", body, {"Authorization": f"Bearer {self.secret}"} | headers)
            answer = client.getresponse()
            content = answer.read()
            return answer.status, json.loads(content) if content else None
        finally:
            client.close()

    def memory(self, which: str) -> int:
        """Bytes that the worker holds now (VmRSS), or held at most (VmHWM)."""
        (worker,) = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        found = re.search(rf"{which}:\s+(\d+) kB", Path(f"/proc/{worker}/status").read_text())
        assert found
        return int(found[1]) * 1024


def wait_for(true: Callable[[], bool]) -> None:
    """Return once it is true; fail after a minute."""
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.05)


@pytest.fixture
def server(transactional_db: None) -> Iterator[Server]:
    running = Server()
    yield running
    running.process.terminate()
    running.process.wait(20)


def line(n: int, padding: int = 0) -> bytes:
    event = {"id": str(n), "type": "call", "subject": "acme", "data": {"n": n}}
    return json.dumps(event).encode() + b" " * padding + b"\n"


def test_it_works(server: Server) -> None:
    status, report = server.post(line(1) + line(2) + b"oops\n", NDJSON)
    assert (status, report["accepted"], report["rejected_count"]) == (200, 2, 1)
    assert server.post(iter([line(1), line(3)]), NDJSON)[1]["accepted"] == 1
    chunked_json = server.post(iter([line(3), b" "]), {"Content-Type": "application/json"})
    assert chunked_json == (200, {"accepted": 0, "duplicates": 1, "conflicts": [], "rejected": []})


def test_a_stream_of_50_000_lines_takes_little_memory(server: Server) -> None:
    """150 MB are sent, so that a server that holds them cannot pass."""
    server.post(line(-1), NDJSON)
    before = server.memory("VmRSS")
    pieces = (b"".join(line(n, padding=3000) for n in range(start, start + 100)) for start in range(0, 50_000, 100))
    status, report = server.post(pieces, NDJSON)
    assert (status, report["accepted"], report["rejected_count"]) == (200, 50_000, 0)
    assert server.memory("VmHWM") - before < 100_000_000
    assert Event.objects.count() == 50_001


def test_a_stream_of_20_000_problems_takes_little_memory_and_names_them_all(server: Server) -> None:
    server.post(line(-1), NDJSON)
    before = server.memory("VmRSS")
    pieces = (b'{"id": "1"}'.ljust(3000) + b"\n" for _ in range(20_000))
    status, report = server.post(pieces, NDJSON)
    assert (status, len(report["rejected"]), report["rejected_count"]) == (200, 1000, 20_000)
    assert server.memory("VmHWM") - before < 60_000_000
    address = f"http://127.0.0.1:{server.port}{report['problems_url']}"
    with urlopen(Request(address, headers={"Authorization": f"Bearer {server.secret}"}), timeout=60) as file:
        assert [json.loads(problem)["index"] for problem in file] == list(range(20_000))


def test_a_sender_learns_why_its_body_was_refused(server: Server) -> None:
    """The answer comes in mid-stream, and must reach senders that read it only when they have sent everything."""
    packed = gzip.compress(b" " * 400_000_000, 1)
    pieces = (packed[at : at + 10_000] for at in range(0, len(packed), 10_000))
    before = server.memory("VmRSS")
    status, problem = server.post(pieces, NDJSON | {"Content-Encoding": "gzip"})
    assert (status, problem["code"]) == (413, "gzip_bomb")
    assert server.memory("VmHWM") - before < 100_000_000
    status, problem = server.post(iter([b"x" * 100_000] * 50), {"Content-Type": "text/plain"})
    assert (status, problem["code"]) == (415, "unsupported_media_type")


def test_a_sender_that_goes_away_leaves_what_was_stored(server: Server) -> None:
    head = f"POST /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {server.secret}\r\n"
    head += "Content-Type: application/x-ndjson\r\nContent-Length: 10000000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port)) as sender:
        sender.sendall(head.encode() + b"".join(line(n) for n in range(1500)) + b'{"id": "half')
    wait_for(lambda: Event.objects.count() >= 1000)
    report = server.post(b"".join(line(n) for n in range(1500)), NDJSON)[1]
    assert (report["accepted"], report["duplicates"]) == (500, 1000)


@pytest.mark.parametrize("convert", [to_structured, to_binary])
def test_the_cloudevents_kit_is_understood(server: Server, convert: Callable[..., Any]) -> None:
    def send(**attributes: Any) -> tuple[int, Any]:
        given = {"type": "call", "source": "/kit", "subject": "acme", "id": "1", "extension": "x"} | attributes
        headers, body = convert(CloudEvent(given, {"tokens": 5}))
        return server.post(body, dict(headers))

    assert send() == (204, None)
    status, problem = send()  # the kit stamps each event with a time of its own
    assert (status, problem["conflicts"][0]["id"]) == (400, "1")
    assert send(id="2", time="2026-03-01T12:00:00Z", datacontenttype="application/json") == (204, None)
    assert send(id="2", time="2026-03-01T12:00:00Z") == (204, None)
    status, problem = send(subject="")
    assert (status, problem["code"]) == (400, "missing_subject")
    stored = Event.objects.select_related("source", "subject").order_by("id")
    assert [(event.id, event.source.name, event.subject.name, event.data) for event in stored] == [
        ("1", "/kit", "acme", {"tokens": 5}),
        ("2", "/kit", "acme", {"tokens": 5}),
    ]
