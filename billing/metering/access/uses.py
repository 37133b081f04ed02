"""When keys are used and refused: noted by the process, written to the database in lots."""

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from threading import Lock
from typing import Any, Final

from django.db import InterfaceError, OperationalError, connection

EVERY_NS: Final = 60_000_000_000
"""How often a process writes when keys were last used, in nanoseconds."""

_WRITE: Final = """
    INSERT INTO metering_apikey_use AS u (key_id, last_used_at, refused_count, refused_at)
    SELECT k.id, g.used, g.refused, g.refused_at
    FROM unnest(%s::bigint[], %s::timestamptz[], %s::bigint[], %s::timestamptz[]) AS g(key, used, refused, refused_at)
    JOIN billing_apikey k ON k.id = g.key
    ORDER BY k.id
    ON CONFLICT (key_id) DO UPDATE SET
        last_used_at = greatest(u.last_used_at, excluded.last_used_at),
        refused_count = u.refused_count + excluded.refused_count,
        refused_at = greatest(u.refused_at, excluded.refused_at)
"""


class _Noted:
    """What this process has noted and not written yet."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.used: dict[int, datetime] = {}
        self.refused: dict[int, tuple[int, datetime]] = {}
        self.written_at = -EVERY_NS

    def take(self) -> tuple[dict[int, datetime], dict[int, tuple[int, datetime]]]:
        """Everything noted, which is then no longer here."""
        with self.lock:
            taken = self.used, self.refused
            self.used, self.refused = {}, {}
        return taken

    def count(self, key: int, times: int, at: datetime) -> None:
        """Note so many refusals of a key."""
        with self.lock:
            before, last = self.refused.get(key, (0, at))
            self.refused[key] = before + times, max(last, at)


_noted: Final = _Noted()


def used(key: int, now: datetime, ask: Callable[[Callable[[], None]], None]) -> None:
    """Note a use; about once a minute what was noted is written."""
    _noted.used[key] = now
    begun = time.monotonic_ns()
    if begun - _noted.written_at >= EVERY_NS:
        _noted.written_at = begun
        _write_if_possible(ask)


def refused(key: int, now: datetime, ask: Callable[[Callable[[], None]], None]) -> None:
    """Note a refusal and write it, together with those of other requests at this moment."""
    _noted.count(key, 1, now)
    _write_if_possible(ask)


def write() -> None:
    """Write what is noted, if anything; what cannot be written stays noted."""
    used_at, refusals = _noted.take()
    if not used_at and not refusals:
        return
    try:
        with connection.cursor() as cursor:
            cursor.execute(_WRITE, _columns(used_at, refusals))
    except BaseException:
        for key, (times, at) in refusals.items():
            _noted.count(key, times, at)
        raise


def _write_if_possible(ask: Callable[[Callable[[], None]], None]) -> None:
    """Write, unless the database is away: the answer does not depend on it."""
    try:
        ask(write)
    except (OperationalError, InterfaceError):
        _noted.written_at = -EVERY_NS  # again with the next use


def _columns(used_at: Mapping[int, datetime], refusals: Mapping[int, tuple[int, datetime]]) -> list[Any]:
    """The parameters of the statement: one list a column."""
    numbers = sorted(used_at.keys() | refusals.keys())
    return [
        numbers,
        [used_at.get(number) for number in numbers],
        [refusals[number][0] if number in refusals else 0 for number in numbers],
        [refusals[number][1] if number in refusals else None for number in numbers],
    ]
