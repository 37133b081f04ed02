"""What the page about sending events tells people to type works, against the running server."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from billing.metering.api.openapi import document
from billing.metering.models import Event
from billing.metering.services import create_api_key
from config import clock
from tests import factories
from tests.billing.metering.test_live_server import ROOT, Server

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = (Path(ROOT) / "docs/ingest.md").read_text()


@pytest.fixture
def server(transactional_db: None) -> Iterator[Server]:
    running = Server()
    running.secret = create_api_key(
        name="all", default_source="gateway", user=None, now=clock.now(), scopes=["ingest", "read", "correct"]
    )[1]
    yield running
    running.process.terminate()
    running.process.wait(20)


def shell(server: Server, command: str) -> str:
    """What a command of the page prints, with this server and key in it."""
    text = command.replace("http://127.0.0.1:8000", f"http://127.0.0.1:{server.port}").replace("mb_…", server.secret)
    environment = os.environ | {"METERBOOK_KEY": server.secret}
    done = subprocess.run(["bash", "-c", text], capture_output=True, text=True, env=environment, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def consoles() -> list[tuple[str, str]]:
    """Each `curl` of the page and what it prints there."""
    blocks = re.findall(r"^```console\n\$ (curl.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return [(command, printed) for command, printed in (split(block) for block in blocks)]


def split(block: str) -> tuple[str, str]:
    """A command, which goes on after a backslash or within quotes, and the lines that it prints."""
    lines = block.splitlines()
    end = next(
        at
        for at, line in enumerate(lines)
        if not line.endswith("\\") and "\n".join(lines[: at + 1]).count("'") % 2 == 0
    )
    return "\n".join(lines[: end + 1]), "\n".join(lines[end + 1 :])


def test_it_works(server: Server) -> None:
    """Every curl of the page, in its order, prints what stands there."""
    factories.make_meter()
    factories.make_customer("acme", subject="org_8213")
    lines = [json.dumps({"id": f"line-{n}", "type": "t", "subject": "s"}) for n in range(50_000)]
    commands = consoles()
    assert len(commands) == 5
    for command, printed in commands:
        if "usage.ndjson" in command:
            file = Path(os.environ.get("TMPDIR", "/tmp")) / f"usage-{server.port}.ndjson"
            file.write_text("\n".join(lines))
            found = shell(server, command.replace("usage.ndjson", str(file)))
            file.unlink()
        else:
            found = shell(server, command)
        if printed.startswith("{"):
            assert json.loads(found) == json.loads(printed)
        elif printed:
            assert found.splitlines()[0] == printed
        else:
            assert json.loads(found)["data"] == {"tokens": 4808, "model": "large-2"}


@pytest.mark.parametrize("number", range(4))
def test_the_clients_on_the_page_work(server: Server, number: int) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 4
    environment = os.environ | {
        "METERBOOK_URL": f"http://127.0.0.1:{server.port}",
        "METERBOOK_KEY": server.secret,
        "PYTHONWARNINGS": "default",
    }
    for _ in range(1 if "openmeter" in blocks[number] else 2):
        done = subprocess.run(
            [sys.executable, "-c", blocks[number]], capture_output=True, text=True, env=environment, timeout=60
        )
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert Event.objects.count() == (3 if "request-" in blocks[number] else 1)


def test_the_examples_of_the_description_work(server: Server) -> None:
    factories.make_meter()
    factories.make_customer("org_8213")
    described: dict[str, Any] = document(f"http://127.0.0.1:{server.port}")
    answers = {
        operation["operationId"]: json.loads(shell(server, operation["x-example"]))
        for methods in described["paths"].values()
        for operation in methods.values()
    }
    assert answers["sendEvents"]["accepted"] == 1
    assert answers["sendEventsOfLago"]["events"][0]["transaction_id"] == "req-2"
    assert answers["eventFate"]["id"] == answers["eventFateByName"]["id"] == "req-1"
    assert answers["usage"]["rows"][0]["quantity"] == "4808"
    assert answers["problems"]["code"] == "unknown_problems"
    assert answers["correct"]["events"] == 1
    assert answers["backfill"]["name"] == "Usage of 1 March"
    assert answers["health"]["status"] == "ok"
