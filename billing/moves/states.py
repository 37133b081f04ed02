"""The states of a move of subscribers and of each subscription in it, read by services, buttons and triggers alike."""

from django.db.models import TextChoices


class MoveState(TextChoices):
    DRAFT = "draft", "Draft"
    SCHEDULED = "scheduled", "Scheduled"
    CANCELLED = "cancelled", "Cancelled"


MOVE_MOVES: list[tuple[str, str]] = [
    (MoveState.DRAFT, MoveState.SCHEDULED),
    (MoveState.SCHEDULED, MoveState.CANCELLED),
]
IN_EFFECT = "in_effect"
"""How a scheduled move stands once its first day has come: told from the dates, never stored."""


class Work(TextChoices):
    """What the worker still has to do for a move; one that is at rest has none."""

    REST = "", "At rest"
    PREVIEW = "preview", "Computing the preview"
    SCHEDULE = "schedule", "Scheduling"
    CANCEL = "cancel", "Cancelling"


class Outcome(TextChoices):
    """What becomes of one subscription."""

    PLANNED = "planned", "To be moved"
    LEFT_OUT = "left_out", "Left out"
    SCHEDULED = "scheduled", "Scheduled"
    REFUSED = "refused", "Refused"
    CANCELLED = "cancelled", "Cancelled"


OUTCOME_MOVES: list[tuple[str, str]] = [
    (Outcome.PLANNED, Outcome.SCHEDULED),
    (Outcome.PLANNED, Outcome.REFUSED),
    (Outcome.PLANNED, Outcome.CANCELLED),
    (Outcome.SCHEDULED, Outcome.CANCELLED),
]
