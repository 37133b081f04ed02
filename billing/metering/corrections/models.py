"""Corrections of usage: new facts about events, which themselves are never edited (R1.4)."""

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import Q

from billing.metering.exact_json import ExactEncoder
from billing.metering.models import ApiKey, EventSubject, EventType


class Backfill(models.Model):
    """A named batch of usage that can be taken back as a whole."""

    name = models.CharField(max_length=200)
    reason = models.TextField(help_text="Why this usage comes in this way.")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, editable=False, related_name="+"
    )
    api_key = models.ForeignKey(ApiKey, models.PROTECT, null=True, editable=False, related_name="+")
    created_at = models.DateTimeField(editable=False)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.name


class Correction(models.Model):
    """A decision about events: who, when, why. It is undone by another one, never edited."""

    class Kind(models.TextChoices):
        VOID = "void", "Void"
        REPLACE = "replace", "Replace"
        REVERT = "revert", "Revert a backfill"
        UNDO = "undo", "Undo a correction"

    kind = models.CharField(max_length=10, choices=Kind)
    reason = models.TextField()
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, editable=False, related_name="+"
    )
    api_key = models.ForeignKey(ApiKey, models.PROTECT, null=True, editable=False, related_name="+")
    created_at = models.DateTimeField(editable=False)
    batch = models.BigIntegerField(
        unique=True, editable=False, help_text="The batch of its replacements, and its mark."
    )
    events = models.BigIntegerField(editable=False, help_text="How many events it concerns.")
    criteria = models.JSONField(
        default=dict, encoder=ExactEncoder, editable=False, help_text="Which events were meant, as it was asked."
    )
    changes = models.JSONField(
        default=dict, encoder=ExactEncoder, editable=False, help_text="What a replacement changes."
    )
    backfill = models.ForeignKey(Backfill, models.PROTECT, null=True, editable=False, related_name="corrections")
    undoes = models.OneToOneField("self", models.PROTECT, null=True, editable=False, related_name="undone_by")

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                name="correction_names_what_it_takes_back",
                condition=Q(kind="undo", undoes__isnull=False)
                | Q(kind="revert", backfill__isnull=False, undoes__isnull=True)
                | Q(kind__in=["void", "replace"], undoes__isnull=True, backfill__isnull=True),
            ),
        ]
        triggers = [pgtrigger.Protect(name="correction_kept", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.events:,} events"


class CorrectedEvent(models.Model):
    """What a correction says of one event: whether it counts from then on."""

    pk = models.CompositePrimaryKey("correction", "batch", "n")
    correction = models.ForeignKey(Correction, models.PROTECT, db_index=False, related_name="+")
    batch = models.BigIntegerField()
    n = models.IntegerField()
    counts = models.BooleanField()
    by_batch = models.BigIntegerField(null=True, help_text="The event that counts instead: its batch and place.")
    by_n = models.IntegerField(null=True)

    class Meta:
        db_table = "metering_corrected_event"
        indexes = [models.Index(fields=["batch", "n"], name="metering_corrected_event_of")]
        triggers = [pgtrigger.Protect(name="corrected_event_kept", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"event {self.batch}/{self.n}"


class CorrectedHour(models.Model):
    """An hour (UTC) of a subject that a correction touched: what is counted of it comes from its events anew."""

    pk = models.CompositePrimaryKey("batch", "type", "subject", "hour")
    batch = models.BigIntegerField(help_text="The correction's.")
    type = models.ForeignKey(EventType, models.PROTECT, db_constraint=False, db_index=False, related_name="+")
    subject = models.ForeignKey(EventSubject, models.PROTECT, db_constraint=False, db_index=False, related_name="+")
    hour = models.DateTimeField()

    class Meta:
        db_table = "metering_corrected_hour"
        triggers = [pgtrigger.Protect(name="corrected_hour_kept", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H}h of subject {self.subject_id}"


class VoidedEvent(models.Model):
    """An event that does not count, since the last correction of it said so."""

    pk = models.CompositePrimaryKey("batch", "n")
    batch = models.BigIntegerField()
    n = models.IntegerField()
    correction = models.ForeignKey(Correction, models.PROTECT, related_name="+")

    class Meta:
        db_table = "metering_voided"

    def __str__(self) -> str:
        return f"event {self.batch}/{self.n} does not count"
