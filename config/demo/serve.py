"""Serving the demo: the web server and the worker as child processes, each in a group of its own, stopped together."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from django.conf import settings

STOP_SECONDS: Final = 15
WEB_WORKERS: Final = 2
WEB_THREADS: Final = "32"  # requests that wait for a shared commit: granian warns of so many, which do not compute


class CannotServe(Exception):
    """The address is taken, or a child process ended by itself."""


def refuse_taken(host: str, port: int) -> None:
    """CannotServe when something listens there already."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise CannotServe(f"Nothing can be served at {host}:{port} ({error.strerror}): use --port.") from error


def serve(host: str, port: int) -> None:
    """Run granian and the worker until SIGINT or SIGTERM, then stop both with all their processes.

    CannotServe when one of them ends by itself; the other is stopped then.
    """
    asked: list[int] = []
    before = {each: signal.signal(each, lambda number, _: asked.append(number)) for each in _STOPPING}
    children: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for name, arguments in _programs(host, port).items():
            if not asked:
                children[name] = _start(arguments)
        while not asked:
            ended = next((name for name, child in children.items() if child.poll() is not None), None)
            if ended:
                raise CannotServe(f"The {ended} ended by itself; what it said stands above.")
            time.sleep(0.2)
    finally:
        _stop(list(children.values()))
        for number, handler in before.items():
            signal.signal(number, handler)


_STOPPING: Final = (signal.SIGINT, signal.SIGTERM)


def _programs(host: str, port: int) -> Mapping[str, list[str]]:
    manage = str(settings.BASE_DIR / "manage.py")
    return {
        "web server": [
            *("-m", "granian", "--interface", "wsgi", "--host", host, "--port", str(port)),
            *("--workers", str(WEB_WORKERS), "--blocking-threads", WEB_THREADS, "--no-ws", "--log-level", "error"),
            "config.wsgi:application",
        ],
        "worker": [manage, "qcluster"],
    }


def _start(arguments: list[str]) -> subprocess.Popen[bytes]:
    """A Python child in a session of its own: Ctrl-C reaches only the demo, which then stops the whole group."""
    environment = {"DJANGO_SETTINGS_MODULE": "config.settings", "METERBOOK_WORKERS": "1"} | os.environ
    return subprocess.Popen(  # noqa: S603  our own programs
        [sys.executable, *arguments], cwd=settings.BASE_DIR, env=environment, start_new_session=True
    )


def _stop(children: list[subprocess.Popen[bytes]]) -> None:
    """Ask each child to end its own processes and itself, wait, and end by force what is left of its group."""
    for child in children:
        child.terminate()  # not the group: a worker's processes would end under its hands, and it would wait for them
    deadline = time.monotonic() + STOP_SECONDS
    for child in children:
        with suppress(subprocess.TimeoutExpired):
            child.wait(max(0.1, deadline - time.monotonic()))
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
