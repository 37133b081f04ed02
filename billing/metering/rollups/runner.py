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
from billing.metering.rollups.models import PendingBatch

PAUSE: Final = 700
"""Milliseconds between the beginnings of two steps."""

LOOK: Final = 30
"""Seconds after which it looks by itself for what others brought in."""

MANY: Final = 40
"""Pending batches from which on senders of large ones are slowed down, so that rollups keep up on a small machine."""

LONGEST: Final = 1
"""Seconds that a sender is held at most."""

_log = logging.getLogger(__name__)
_awake = threading.Event()
_thread: threading.Thread | None = None
_starting = threading.Lock()
_enabled = False
_pending = 0


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


def ease() -> None:
    """Hold whoever brings many events while much is pending, the longer the more that is."""
    if _pending > MANY:
        time.sleep(min(LONGEST, (_pending - MANY) / 100))


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
        left = _step()
        time.sleep(max(0, PAUSE / 1000 - (time.monotonic() - began)))
        if not left:
            _awake.wait(LOOK)


def _step() -> int:
    """One step, here or in another process; how many batches are pending after it."""
    global _pending
    try:
        services.step()
        _pending = PendingBatch.objects.count()
    except Error:
        _log.warning("A rollup failed; it is tried again.", exc_info=True)
        connection.close_if_unusable_or_obsolete()
        _pending = 0
        return 1  # something may be left
    return _pending
