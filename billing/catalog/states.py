"""The states of a plan version and the moves between them."""

from django.db.models import TextChoices


class VersionState(TextChoices):
    DRAFT = "draft", "Draft"
    PUBLISHED = "published", "Published"


VERSION_MOVES: list[tuple[str, str]] = [(VersionState.DRAFT, VersionState.PUBLISHED)]
