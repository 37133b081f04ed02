"""What a manual line is."""

from django.db.models import TextChoices


class ManualKind(TextChoices):
    LINE = "line", "Line"
    DISCOUNT = "discount", "Discount"
