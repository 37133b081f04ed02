"""How long storing events waits for locks: an ingest that hangs holds every sender, one that fails is sent again.

Beyond `settings.USAGE_LOCK_TIMEOUT_SECONDS` a statement fails with OperationalError, which senders are answered with
503. Other work in the same process waits as long as it likes, but for the threads that do nothing else.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import local

from django.conf import settings
from django.db import connection, transaction

_own = local()  # the connection of this thread that is limited for good


def limit_for_good() -> None:
    """Limit the connection of this thread: for threads that only store events. No query when it is limited already.

    Where a pooler gives each transaction another server, nothing lasts: there each transaction is limited.
    """
    connection.ensure_connection()
    if not _limited() and not connection.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS"):
        with connection.cursor() as cursor:
            cursor.execute(f"SET lock_timeout = '{settings.USAGE_LOCK_TIMEOUT_SECONDS:d}s'")
        _own.raw = connection.connection


def limit() -> None:
    """Limit the transaction at hand."""
    if not _limited():
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = '{settings.USAGE_LOCK_TIMEOUT_SECONDS:d}s'")


@contextmanager
def limited() -> Iterator[None]:
    """A block that waits within the limit, for one statement: in a transaction where the limit needs one.

    Within a transaction of the caller it is a savepoint, so that the caller's transaction outlives a failure.
    """
    if _limited() and not connection.in_atomic_block:
        yield
        return
    with transaction.atomic():
        limit()
        yield


def _limited() -> bool:
    """Whether the connection of this thread is limited for good."""
    return connection.connection is not None and getattr(_own, "raw", None) is connection.connection
