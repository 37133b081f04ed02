"""Folders for servers of the tests' own, and processes that use them."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from config.embedded import cluster, programs
from config.embedded.programs import Account
from tests.config.helper import Helper


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that everybody may pass through; pytest's own closes its parents anew whenever another run begins."""
    folder = Path(tempfile.mkdtemp(prefix="mb test $", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    for pid_file in folder.rglob("postmaster.pid"):
        cluster.stop(pid_file.parent, programs.account_for(pid_file.parent))
    shutil.rmtree(folder)


@pytest.fixture
def data(place: Path) -> Path:
    return place / ".data" / "postgres"


@pytest.fixture
def helper(data: Path) -> Iterator[Callable[[], Helper]]:
    """Starts helpers on `data`; those that the test leaves are ended."""
    helpers = []

    def start(data: Path = data, account: Account | None = None) -> Helper:
        helpers.append(Helper(data, account))
        return helpers[-1]

    yield start
    for each in helpers:
        if each.process.poll() is None:
            each.end()
        for stream in (each.process.stdin, each.process.stdout):
            stream.close()


@pytest.fixture
def unblocked(django_db_blocker: Any) -> Iterator[None]:
    """pytest-django forbids every database outside its own; these tests bring theirs."""
    with django_db_blocker.unblock():
        yield
