"""The one place that reads the wall clock.

Views, commands and tasks call `now()`; services and pure rules take `now` as a parameter. A scenario, a test or the
demo moves the clock for its own process with `set_to`. This module imports nothing of the project, so that the edge of
any app may import it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

_set_to: datetime | None = None


def now() -> datetime:
    """The current instant, aware, in UTC: the wall clock's, or the one that `set_to` holds."""
    return _set_to or datetime.now(UTC)


@contextmanager
def set_to(instant: datetime) -> Iterator[None]:
    """Hold the clock of this process at `instant` (aware) inside the block."""
    global _set_to
    if instant.tzinfo is None:
        raise ValueError("The clock needs an aware instant: give it a time zone.")
    before, _set_to = _set_to, instant.astimezone(UTC)
    try:
        yield
    finally:
        _set_to = before
