"""The states of a plan version and the moves between them: services, buttons and triggers read this table."""

from django.db.models import TextChoices


class VersionState(TextChoices):
    DRAFT = "draft", "Draft"
    PUBLISHED = "published", "Published"
    RETIRED = "retired", "Retired"


VERSION_MOVES: list[tuple[str, str]] = [
    (VersionState.DRAFT, VersionState.PUBLISHED),
    (VersionState.PUBLISHED, VersionState.RETIRED),
]


def can_move(state: str, to: str) -> bool:
    """Whether a version in `state` may become `to`."""
    return (state, to) in VERSION_MOVES


def is_open(state: str) -> bool:
    """Whether the version can be subscribed to: customers that are on a retired one stay, nobody comes to it."""
    return state == VersionState.PUBLISHED
