"""The states of an e-mail, and when one that failed is tried again."""

from datetime import datetime, timedelta

from django.db.models import TextChoices


class DeliveryState(TextChoices):
    WAITING = "waiting", "Waiting"
    SENT = "sent", "Sent"
    FAILED = "failed", "Not sent"
    BOUNCED = "bounced", "Came back"


BACKOFF = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 240, 720, 1440))
"""How long to wait after the first, second, … attempt that failed; after as many and one more it is given up."""


def next_try(attempts: int, now: datetime) -> datetime | None:
    """When to try again after so many attempts (1 or more) that failed, aware UTC; None: given up."""
    return now + BACKOFF[attempts - 1] if attempts <= len(BACKOFF) else None
