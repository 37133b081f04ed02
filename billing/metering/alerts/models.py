"""Alerts: usage that stopped or jumped, and sources that fell silent."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Coalesce

from billing.metering.models import Meter
from billing.metering.rollups.fields import ExactNumber
from customers.models import Customer


class UsageAlert(models.Model):
    """Usage that is not as it was: open until it is again, and acknowledged by whoever looked into it."""

    class Kind(models.TextChoices):
        STOP = "stop", "Usage stopped"
        JUMP = "jump", "Usage jumped"
        SOURCE_SILENT = "source_silent", "Source silent"

    kind = models.CharField(max_length=20, choices=Kind)
    customer = models.ForeignKey(Customer, models.CASCADE, null=True, related_name="+")
    meter = models.ForeignKey(Meter, models.CASCADE, null=True, related_name="+")
    source = models.TextField(db_default="", help_text="Of a source that fell silent: its name.")
    since = models.DateTimeField(help_text="When it began.")
    expected = ExactNumber(null=True, help_text="What a usual day has, by its own history.")
    seen = ExactNumber(null=True, help_text="What the day had.")
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, help_text="When usage was as usual again.")
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    acknowledgement = models.TextField("why", db_default="", help_text="What whoever looked into it found.")

    class Meta:
        ordering = ["-opened_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                "kind", Coalesce("customer", 0), Coalesce("meter", 0), "source",
                name="usagealert_open_once", condition=Q(closed_at=None),
            ),
            models.CheckConstraint(
                name="usagealert_of_something",
                condition=Q(kind="source_silent") & ~Q(source="")
                | ~Q(kind="source_silent") & Q(customer__isnull=False, meter__isnull=False),
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        what = self.source if self.kind == self.Kind.SOURCE_SILENT else f"{self.customer}, {self.meter}"
        return f"{self.get_kind_display()}: {what}"
