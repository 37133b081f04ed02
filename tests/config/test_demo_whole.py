"""The whole demo as users start it: a process of its own, an embedded database of its own; killed, resumed, served."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from config.embedded import cluster, programs

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.deep

ASK = """
import json
from billing.invoicing.models import Invoice, InvoiceLine
from billing.metering.models import Event, EventKey
from billing.payments.models import Payment
from django_q.models import OrmQ, Success
from revenue.ledger.models import JournalEntry
from revenue.ledger.ties import ties
print("ANSWER", json.dumps({
    "events": Event.objects.count(), "keys": EventKey.objects.count(), "done": Success.objects.count(),
    "issued": Invoice.objects.filter(state="issued").count(), "drafts": Invoice.objects.filter(state="draft").count(),
    "billed": InvoiceLine.objects.filter(invoice__state="issued").count(), "payments": Payment.objects.count(),
    "entries": JournalEntry.objects.count(), "ties": ties().hold,
}))
"""
QUEUE = "from django_q.tasks import async_task; async_task('revenue.tasks.post_documents')"


class Demo:
    """`manage.py` on a data folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "said"
        left_out = {"DATABASE_URL", "METERBOOK_DATABASE_NAME", "DJANGO_SETTINGS_MODULE"}
        self.environment = {key: value for key, value in os.environ.items() if key not in left_out}
        self.environment["METERBOOK_DATA"] = str(folder / "data")

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """A demo that runs by itself, with what it says in the log."""
        command = [sys.executable, "manage.py", "demo", *arguments]
        with self.log.open("wb") as log:
            return subprocess.Popen(command, cwd=ROOT, env=self.environment, stdout=log, stderr=log)

    def run(self, *arguments: str) -> str:
        """What a command says that must succeed."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments], cwd=ROOT, env=self.environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr[-2_000:]
        return done.stdout

    def ask(self) -> dict[str, Any]:
        """How much of everything there is."""
        said = self.run("shell", "-v", "0", "-c", ASK)
        return dict(json.loads(said.rpartition("ANSWER ")[2]))

    def said(self) -> str:
        return self.log.read_text(errors="replace")


def wait(happened: Callable[[], Any], seconds: float, what: str) -> Any:
    """What `happened` gives as soon as it gives something."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := happened():
            return found
        time.sleep(0.1)
    raise AssertionError(f"{what} did not happen within {seconds} s")


def processes_of(leader: int) -> set[int]:
    """A process and all that descend from it."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it has just ended
    found = {leader}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def answer(address: str) -> str | None:
    """The body of a page, or None while nobody answers."""
    try:
        with urllib.request.urlopen(address, timeout=5) as response:
            return str(response.read().decode())
    except OSError:
        return None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def demo() -> Iterator[Demo]:
    folder = Path(tempfile.mkdtemp(prefix="mb-demo-", dir="/tmp"))
    folder.chmod(0o755)
    yield Demo(folder)
    for pid_file in folder.rglob("postmaster.pid"):
        cluster.stop(pid_file.parent, programs.account_for(pid_file.parent))
    shutil.rmtree(folder)


@pytest.mark.parametrize("after", ["2/13", "7/13", "12/13"])
def test_a_demo_that_is_killed_goes_on_where_it_was(demo: Demo, after: str) -> None:
    """It ends where an undisturbed one does: nothing is missing, nothing is there twice."""
    process = demo.start("--no-serve", "--events", "6000")
    wait(lambda: after in demo.said(), 300, f"month {after}")
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert "Going on with a year" in demo.run("demo", "--no-serve", "--events", "6000")
    resumed = demo.ask()
    assert (resumed["drafts"], resumed["ties"]) == (10, True)
    assert resumed["events"] == resumed["keys"] >= 6_000
    assert "stands already" in demo.run("demo", "--no-serve")
    assert demo.ask() == resumed
    demo.run("demo", "--no-serve", "--events", "6000", "--reset")
    undisturbed = demo.ask()
    assert (undisturbed["issued"], undisturbed["drafts"]) == (resumed["issued"], 10)
    assert undisturbed["payments"] == resumed["payments"]


def test_it_serves_the_admin_works_tasks_off_and_leaves_nothing_behind(demo: Demo) -> None:
    port = free_port()
    process = demo.start("--events", "2000", "--port", str(port))
    wait(lambda: answer(f"http://127.0.0.1:{port}/healthz"), 300, "the first answer")
    assert "Log in" in (answer(f"http://127.0.0.1:{port}/admin/login/") or "")
    key = re.search(r"mb_\S+", demo.said())
    assert key is not None
    event = {"id": "one", "type": "inference", "subject": "org_brightwater", "data": {"input_tokens": 5, "calls": 1}}
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/v1/events", json.dumps([event]).encode(),
        {"Authorization": f"Bearer {key[0]}", "Content-Type": "application/json"},
    )  # fmt: skip
    with urllib.request.urlopen(request, timeout=20) as response:
        assert json.loads(response.read())["accepted"] == 1
    demo.run("shell", "-v", "0", "-c", QUEUE)
    wait(lambda: demo.ask()["done"], 60, "the task")

    started = processes_of(process.pid)
    assert len(started) > 4
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    wait(lambda: not any(alive(pid) for pid in started), 10, "the end of every process")
    assert not (demo.folder / "data" / "postgres" / "postmaster.pid").exists()


def test_a_taken_port_is_said_before_anything_is_done(demo: Demo) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        process = demo.start("--port", str(taken.getsockname()[1]))
        assert process.wait(60) == 1
    assert "use --port" in demo.said()
    assert not (demo.folder / "data").exists()
