"""Usage events, the keys that make them count once, and the meters that turn them into quantities.

Events name a *subject*, never a customer: a claim is retroactive, an event is immutable. Source, type and subject are
interned into small tables. The event table is partitioned by month of event time, so `(source, id)` cannot be unique
there: `EventKey` knows each key once, for ever, whatever happens to the months.
"""

import pgtrigger
from django.conf import settings
from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import Q


class EventSource(models.Model):
    """An interned `source`: the system that sent an event."""

    id = models.AutoField(primary_key=True)
    name = models.TextField(unique=True)

    class Meta:
        db_table = "metering_source"

    def __str__(self) -> str:
        return self.name


class EventType(models.Model):
    """An interned `type`: what happened."""

    id = models.AutoField(primary_key=True)
    name = models.TextField(unique=True)

    class Meta:
        db_table = "metering_type"

    def __str__(self) -> str:
        return self.name


class EventSubject(models.Model):
    """An interned `subject`: for whom it happened, in the sender's words."""

    id = models.AutoField(primary_key=True)
    name = models.TextField(unique=True)

    class Meta:
        db_table = "metering_subject"

    def __str__(self) -> str:
        return self.name


class EventBatch(models.Model):
    """One commit of events: when it was recorded, and who sent it."""

    no = models.BigAutoField(primary_key=True)
    recorded_at = models.DateTimeField()
    origin = models.TextField(help_text="Where it came from: “api” or “import FILE”.")
    key_id = models.IntegerField(null=True)
    backfill_id = models.IntegerField(null=True)
    position = models.BigIntegerField(null=True, unique=True, help_text="Commit order; given when it is rolled up.")
    events = models.IntegerField(null=True, help_text="How many it holds; unknown of older batches.")

    class Meta:
        db_table = "metering_batch"
        indexes = [  # the rates of the last hours, from the index alone
            models.Index(fields=["recorded_at"], include=["events", "key_id"], name="metering_batch_recorded"),
        ]

    def __str__(self) -> str:
        return f"batch {self.no}"


class EventKey(models.Model):
    """`(source, id)`, once, ever (R1.1); finds the event through the event table's own index."""

    digest = models.UUIDField(primary_key=True, help_text="blake2b-128 of the source's id, NUL, the event's id.")
    content = models.BigIntegerField(help_text="64 bits of what the sender sent: differs when a resend differs.")
    ts = models.DateTimeField()
    subject = models.ForeignKey(EventSubject, models.PROTECT, db_constraint=False, db_index=False, related_name="+")
    type = models.ForeignKey(EventType, models.PROTECT, db_constraint=False, db_index=False, related_name="+")

    class Meta:
        db_table = "metering_key"
        triggers = [pgtrigger.Protect(name="key_kept", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return str(self.digest)


class Event(models.Model):
    """A usage event: an immutable fact (R1.4). Partitioned by month of `ts`; months are made on demand."""

    pk = models.CompositePrimaryKey("batch", "n", "ts")  # names a row for the ORM; the table itself has no such index
    batch = models.ForeignKey(
        EventBatch, models.PROTECT, db_column="batch", db_constraint=False, db_index=False, related_name="+"
    )
    n = models.IntegerField(help_text="Place in the batch; ties in time go by arrival (R2.1).")
    source = models.ForeignKey(EventSource, models.PROTECT, db_constraint=False, db_index=False, related_name="+")
    type = models.ForeignKey(EventType, models.PROTECT, db_constraint=False, db_index=False, related_name="+")
    subject = models.ForeignKey(EventSubject, models.PROTECT, db_constraint=False, db_index=False, related_name="+")
    ts = models.DateTimeField(help_text="Event time, to the microsecond: says which period (R1.5).")
    id = models.TextField(help_text="The sender's id, unique within the source.")
    data = models.JSONField()

    class Meta:
        db_table = "metering_event"
        indexes = [
            models.Index(fields=["subject", "type", "ts"], name="metering_event_lookup"),  # every read of a customer
            BrinIndex(fields=["batch"], name="metering_event_batch", pages_per_range=8, autosummarize=True),
        ]
        triggers = [pgtrigger.Protect(name="event_kept", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return self.id


class ApiKey(models.Model):
    """A secret that lets a system send events. Shown once; stored as a SHA-256 of itself, found by its prefix."""

    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=16, unique=True, editable=False)
    digest = models.CharField(max_length=64, editable=False)
    default_source = models.CharField(max_length=200, help_text="Source of events that name none; cannot be changed.")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, editable=False, related_name="+"
    )
    created_at = models.DateTimeField(editable=False)
    revoked_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["name"]
        verbose_name = "API key"
        triggers = [
            pgtrigger.Protect(
                name="apikey_source_kept",
                operation=pgtrigger.Update,
                condition=pgtrigger.Condition("OLD.default_source IS DISTINCT FROM NEW.default_source"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class Meter(models.Model):
    """How events become a quantity: an event type, filters, and an aggregation (R2)."""

    class Aggregation(models.TextChoices):
        COUNT = "count", "Count events"
        SUM = "sum", "Sum of a value"
        MAX = "max", "Maximum of a value"
        UNIQUE_COUNT = "unique_count", "Count of distinct values"

    code = models.SlugField(max_length=60, unique=True)
    name = models.CharField(max_length=100)
    event_type = models.CharField(max_length=200, help_text="Only events of this type count, e.g. inference.")
    aggregation = models.CharField(max_length=20, choices=Aggregation)
    value = models.CharField(
        "value property",
        max_length=200,
        blank=True,
        help_text="Path to the value in the event's data, e.g. tokens or usage.output. Empty for a count.",
    )
    filters = models.JSONField(
        default=dict,
        blank=True,
        help_text='Properties an event must have, e.g. {"region": ["eu", "us"]}.',
    )
    group_by = models.JSONField(default=list, blank=True, help_text='Dimensions to report by, e.g. ["model"].')
    unit = models.CharField(max_length=40, default="unit", help_text="What is counted, in the singular, e.g. token.")
    created_at = models.DateTimeField(auto_now_add=True, editable=False)

    class Meta:
        ordering = ["code"]
        indexes = [models.Index(fields=["event_type"], name="meter_event_type")]  # which meters an event concerns
        constraints = [
            models.CheckConstraint(
                name="meter_value_needed",
                condition=Q(aggregation="count", value="") | ~Q(aggregation="count") & ~Q(value=""),
                violation_error_message="A count takes no value property; every other aggregation needs one.",
            ),
        ]
        triggers = [
            # What an issued price counts must not change under it: a different count is a different meter.
            pgtrigger.Trigger(
                name="meter_frozen",
                when=pgtrigger.Before,
                operation=pgtrigger.Update | pgtrigger.Delete,
                func="""
                    IF EXISTS (SELECT 1 FROM billing_charge c JOIN billing_planversion v ON v.id = c.version_id
                               WHERE c.meter_id = OLD.id AND v.state <> 'draft')
                       AND (TG_OP = 'DELETE' OR (OLD.code, OLD.event_type, OLD.aggregation, OLD.value, OLD.filters)
                            IS DISTINCT FROM (NEW.code, NEW.event_type, NEW.aggregation, NEW.value, NEW.filters)) THEN
                        RAISE EXCEPTION 'meter % is used by a published plan version: make a new meter', OLD.code
                            USING ERRCODE = 'check_violation';
                    END IF;
                    IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
                    RETURN NEW;
                """,
            ),
        ]

    def __str__(self) -> str:
        return self.name
