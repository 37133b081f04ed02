"""What a manual line is."""

from django.db.models import TextChoices


class ManualKind(TextChoices):
    """A line of its own, or something off others."""

    LINE = "line", "Line"
    DISCOUNT = "discount", "Discount"
