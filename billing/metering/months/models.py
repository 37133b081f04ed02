"""The months of the event table: which are here, which lie in an archive, and which are only there."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from billing.metering.months.states import MonthState


class EventMonth(models.Model):
    """A month (UTC) of events: live, exported to a file, or detached: only in that file, but for what came late.

    The ids of its events stay known for ever in `EventKey`, whatever its state, so that each still counts once.
    """

    month = models.DateField(unique=True, help_text="Its first day.")
    state = models.CharField(
        max_length=10, choices=[(state.value, state.label) for state in MonthState], db_default=MonthState.LIVE.value
    )
    # The latest export: what the file holds.
    file = models.TextField(db_default="", help_text="Name of the file in the archive folder.")
    sha256 = models.CharField("SHA-256", max_length=64, db_default="")
    size = models.BigIntegerField("file size", null=True, help_text="Bytes of the file.")
    events = models.BigIntegerField("exported events", null=True)
    first_at = models.DateTimeField("first event", null=True)
    last_at = models.DateTimeField("last event", null=True)
    exported_at = models.DateTimeField(null=True)
    exported_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    detached_at = models.DateTimeField(null=True)
    detached_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    restored_at = models.DateTimeField(null=True)
    restored_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    # What the worker was told to do with it; empty when that is done.
    task = models.CharField(max_length=10, db_default="", editable=False)
    progress = models.BigIntegerField(db_default=0, editable=False, help_text="Events handled so far.")
    trouble = models.TextField(db_default="", help_text="Why the last task did not end.")

    class Meta:
        db_table = "metering_month"
        ordering = ["-month"]
        verbose_name = "month of events"
        verbose_name_plural = "months of events"
        constraints = [
            models.CheckConstraint(
                name="month_archived_in_a_file",
                condition=Q(state=MonthState.LIVE.value)
                | Q(events__isnull=False, exported_at__isnull=False) & ~Q(file="") & ~Q(sha256=""),
            ),
            models.CheckConstraint(
                name="month_detached_at", condition=~Q(state=MonthState.DETACHED.value) | Q(detached_at__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.month:%Y-%m}"
