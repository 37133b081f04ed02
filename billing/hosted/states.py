"""The states of a dispute, read by services, pages and triggers alike."""

from django.db.models import TextChoices


class DisputeState(TextChoices):
    OPEN = "open", "Open"
    ANSWERED = "answered", "Answered"
    SETTLED = "settled", "Settled"


DISPUTE_MOVES: list[tuple[str, str]] = [
    (DisputeState.OPEN, DisputeState.ANSWERED),
    (DisputeState.OPEN, DisputeState.SETTLED),
    (DisputeState.ANSWERED, DisputeState.SETTLED),
]
