"""A thread in each web process that takes in what is pending, soon after it came.

Ingest wakes it; whichever process takes the lock works. Where no web process runs, the scheduled task does the same,
once a minute. Answers are exact whether or not anybody runs: what is pending is read from the events.
"""

import logging
import threading
import time
from typing import Final

from django.db import Error, connection

from billing.metering.rollups import services

PAUSE: Final = 1
"""Seconds between the beginnings of two steps."""

LOOK: Final = 30
"""Seconds after which it looks by itself for what others brought in."""

_log = logging.getLogger(__name__)
_awake = threading.Event()
_thread: threading.Thread | None = None
_starting = threading.Lock()
_enabled = False


def enable() -> None:
    """Let this process run rollups from its first event on: for servers, not for commands and tests."""
    global _enabled
    _enabled = True


def wake() -> None:
    """Something was stored: roll it up soon. Costs nothing where it is not enabled."""
    if _enabled:
        if _thread is None or not _thread.is_alive():
            _start()
        _awake.set()


def _start() -> None:
    """Start the thread, once a process: after a fork there is none yet."""
    global _thread
    with _starting:
        if _thread is None or not _thread.is_alive():
            _thread = threading.Thread(target=_run, name="rollups", daemon=True)
            _thread.start()


def _run() -> None:
    """Step for as long as there is something pending, then wait to be woken."""
    while True:
        began = time.monotonic()
        _awake.clear()
        try:
            taken = services.step()
        except Error:
            _log.warning("A rollup failed; it is tried again.", exc_info=True)
            taken = 0
        finally:
            connection.close_if_unusable_or_obsolete()
        if taken < services.BATCHES:
            time.sleep(max(0, PAUSE - (time.monotonic() - began)))
            if not taken:
                _awake.wait(LOOK)
