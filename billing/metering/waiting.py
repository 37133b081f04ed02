"""How long storing events waits for locks: an ingest that hangs holds every sender, one that fails is sent again."""

from django.conf import settings
from django.db import connection


def limit() -> None:
    """Let the transaction at hand wait no longer for a lock than `settings.USAGE_LOCK_TIMEOUT_SECONDS`.

    Beyond that its statement fails with OperationalError, which senders are answered with 503.
    """
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = '{settings.USAGE_LOCK_TIMEOUT_SECONDS:d}s'")
