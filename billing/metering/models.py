"""Usage events, the keys that make them count once, and the meters that turn them into quantities.

Events name a *subject*, never a customer: a claim is retroactive, an event is immutable. Source, type and subject are
interned into small tables. The event table is partitioned by month of event time, so `(source, id)` cannot be unique
there: `EventKey` knows each key once, for ever, whatever happens to the months.
"""

from copy import copy
from dataclasses import replace
from typing import Any, Final, Self

import pgtrigger
from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import Exists, OuterRef, Q

from billing.metering import keys
from billing.metering.asking import Known
from billing.metering.definitions import MeterDefinition, parse_meter
from billing.metering.exact_json import ExactDecoder, ExactEncoder
from billing.metering.expressions import MAX_LENGTH
from billing.metering.filters import Filter
from customers.marking import EVERYBODY, touching


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


def ingest_only() -> list[str]:
    """The scopes of a key for which nobody says more."""
    return [keys.INGEST]


class ApiKey(models.Model):
    """A secret that lets a system use the API. Shown once; stored as a SHA-256 of itself, found by its prefix."""

    class Scope(models.TextChoices):
        INGEST = keys.INGEST, "Send events"
        READ = keys.READ, "Read usage"
        CORRECT = keys.CORRECT, "Correct usage"
        BOUNCES = keys.BOUNCES, "Report e-mail that came back"

    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=16, unique=True, editable=False)
    digest = models.CharField(max_length=64, editable=False)
    default_source = models.CharField(max_length=200, help_text="Source of events that name none; cannot be changed.")
    scopes = ArrayField(
        models.CharField(max_length=20, choices=Scope), default=ingest_only, help_text="What the key may do."
    )
    rate_limit = models.PositiveIntegerField(
        "events a second", null=True, blank=True, help_text="More are refused until later (429). Empty: no limit."
    )
    replaces = models.ForeignKey("self", models.PROTECT, null=True, editable=False, related_name="replaced_by")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, editable=False, related_name="+"
    )
    created_at = models.DateTimeField(editable=False)
    expires_at = models.DateTimeField(
        "expires at", null=True, blank=True, help_text="In UTC; from then on it is refused. Empty: never."
    )
    revoked_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["name", "-created_at"]
        verbose_name = "API key"
        constraints = [
            models.CheckConstraint(
                name="apikey_scopes",
                condition=Q(scopes__contained_by=keys.SCOPES) & Q(scopes__len__gt=0),
                violation_error_message="A key may send, read or correct usage, report bounces, or several of these.",
            ),
            models.CheckConstraint(
                name="apikey_rate_limit",
                condition=Q(rate_limit=None) | Q(rate_limit__gt=0),
                violation_error_message="A limit is at least one event a second; leave it empty for none.",
            ),
        ]
        triggers = [
            pgtrigger.Protect(
                name="apikey_source_kept",
                operation=pgtrigger.Update,
                condition=pgtrigger.Condition("OLD.default_source IS DISTINCT FROM NEW.default_source"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


# What a version of a meter counts, and with it whatever was billed and rolled up; its name and unit are only shown.
METER_DEFINITION: Final = (
    "event_type", "aggregation", "value", "filters", "group_by", "operation", "recurring", "prorate", "rounding",
)  # fmt: skip


def _changes(*columns: str) -> str:
    """SQL: whether an update changes any of these columns."""
    old, new = (", ".join(f"{row}.{column}" for column in columns) for row in ("OLD", "NEW"))
    return f"({old}) IS DISTINCT FROM ({new})"


class MeterQuerySet(models.QuerySet["Meter"]):
    """Questions about meters, in words of the business."""

    def current(self) -> Self:
        """The latest version of each: what new prices may count with."""
        return self.filter(superseded_at=None)

    def with_use(self) -> Self:
        """With `sold`: whether a published price counts with the version, so that it stays as it is."""
        this = {"meter": OuterRef("pk")}
        charges = Meter._meta.get_field("charges").related_model._default_manager.filter(**this)
        terms = Meter._meta.get_field("terms").related_model._default_manager.filter(**this)
        return self.annotate(sold=Exists(charges.exclude(version__state="draft")) | Exists(terms))


class Meter(models.Model):
    """How events become a quantity: an event type, filters, a value and an aggregation (R2).

    A row is a version: once a published price counts with it, it stays as it is, and a new definition is the next
    version under the same code. Prices keep the version that they were published with.
    """

    class Aggregation(models.TextChoices):
        COUNT = "count", "Count events"
        SUM = "sum", "Sum of a value"
        MAX = "max", "Maximum of a value"
        MIN = "min", "Minimum of a value"
        UNIQUE_COUNT = "unique_count", "Count of distinct values"
        LATEST = "latest", "Latest value"
        AVERAGE = "average", "Average of a value"
        WEIGHTED_SUM = "weighted_sum", "Sum weighted by time"

    code = models.SlugField(max_length=60)
    version = models.PositiveIntegerField(default=1, editable=False)
    name = models.CharField(max_length=100)
    event_type = models.CharField(max_length=200, help_text="Only events of this type count, e.g. inference.")
    aggregation = models.CharField(max_length=20, choices=Aggregation)
    value = models.CharField(
        max_length=MAX_LENGTH,
        blank=True,
        help_text="A property of the event's data, e.g. tokens or usage.output, or an expression such as"
        " input + 4 * output. Empty for a count.",
    )
    operation = models.TextField(
        "add or remove",
        blank=True,
        help_text="For distinct values that come and go: the property that says add or remove. Empty: all are added.",
    )
    recurring = models.BooleanField(
        "carried forward", default=False, help_text="What came before a period counts in it too: seats, storage."
    )
    prorate = models.BooleanField(
        "by days present",
        default=False,
        help_text="What is carried forward weighs by the days of the period on which it was there.",
    )
    rounding = models.JSONField(
        null=True, blank=True, help_text='How the quantity is rounded, e.g. {"mode": "up", "places": 0}.'
    )
    filters = models.JSONField(
        default=dict,
        blank=True,
        encoder=ExactEncoder,
        decoder=ExactDecoder,
        help_text='What an event must be like, e.g. {"region": ["eu", "us"], "seconds": {"gte": "1"}}.',
    )
    group_by = models.JSONField(default=list, blank=True, help_text='Dimensions to report by, e.g. ["model"].')
    unit = models.CharField(max_length=40, default="unit", help_text="What is counted, in the singular, e.g. token.")
    rollup = models.BigIntegerField(
        null=True, unique=True, editable=False, help_text="Under which its rollups are kept; null: none are built."
    )
    rollup_ready = models.BooleanField(default=False, editable=False)
    settled = models.DateTimeField(null=True, editable=False, help_text="Its rollup has dekads up to here.")
    created_at = models.DateTimeField(auto_now_add=True, editable=False)
    superseded_at = models.DateTimeField(null=True, editable=False, help_text="When the next version was made.")

    objects = MeterQuerySet.as_manager()
    besides: tuple[Filter, ...] = ()  # filters of a copy, which is never stored
    known: Known | None = None  # of a copy: what it counts was known then

    class Meta:
        ordering = ["code", "-version"]
        indexes = [models.Index(fields=["event_type"], name="meter_event_type")]  # which meters an event concerns
        constraints = [
            models.UniqueConstraint(name="meter_version", fields=["code", "version"]),
            models.UniqueConstraint(
                name="meter_current",
                fields=["code"],
                condition=Q(superseded_at__isnull=True),
                violation_error_message="There is a meter of this code.",
            ),
            models.CheckConstraint(
                name="meter_value_needed",
                condition=Q(aggregation="count", value="") | ~Q(aggregation="count") & ~Q(value=""),
                violation_error_message="A count takes no value; every other aggregation needs one.",
            ),
            models.CheckConstraint(
                name="meter_prorate",
                condition=Q(prorate=False) | Q(recurring=True, aggregation__in=["sum", "unique_count"]),
                violation_error_message="Only a sum or distinct values that are carried forward go by days present.",
            ),
            models.CheckConstraint(
                name="meter_operation",
                condition=Q(operation="") | Q(aggregation="unique_count"),
                violation_error_message="Only distinct values are added and removed.",
            ),
        ]
        triggers = [
            # What an issued price counts must not change under it: a different count is another version. Invoices
            # bill by charges of published plan versions and of customers' own terms: these are all of its uses.
            pgtrigger.Trigger(
                name="meter_frozen",
                when=pgtrigger.Before,
                operation=pgtrigger.Update | pgtrigger.Delete,
                func=f"""
                    IF (EXISTS (SELECT 1 FROM billing_charge c LEFT JOIN billing_planversion v ON v.id = c.version_id
                                WHERE c.meter_id = OLD.id AND v.state IS DISTINCT FROM 'draft')
                        OR EXISTS (SELECT 1 FROM billing_subscriptionterm t WHERE t.meter_id = OLD.id))
                       AND (TG_OP = 'DELETE' OR {_changes("code", "version", *METER_DEFINITION)}) THEN
                        RAISE EXCEPTION 'meter % is used by a published plan version: make a new version', OLD.code
                            USING ERRCODE = 'check_violation';
                    END IF;
                    IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
                    RETURN NEW;
                """,
            ),
            pgtrigger.Trigger(
                name="meter_history",
                when=pgtrigger.Before,
                operation=pgtrigger.Update,
                condition=pgtrigger.Condition("OLD.superseded_at IS NOT NULL"),
                func=f"""
                    IF {_changes("superseded_at", "code", "version", *METER_DEFINITION)} THEN
                        RAISE EXCEPTION 'meter % has a newer version: change that', OLD.code
                            USING ERRCODE = 'check_violation';
                    END IF;
                    RETURN NEW;
                """,
            ),
            # Rollups hold what a definition counted: with another one they must be built anew.
            pgtrigger.Trigger(
                name="meter_rollup",
                when=pgtrigger.Before,
                operation=pgtrigger.Update,
                func=f"""
                    IF {_changes(*METER_DEFINITION)} THEN
                        NEW.rollup := NULL;
                        NEW.rollup_ready := false;
                    ELSIF NEW.rollup = OLD.rollup AND OLD.settled IS NOT NULL THEN
                        NEW.settled := greatest(NEW.settled, OLD.settled);  -- answers rely on it
                    END IF;
                    RETURN NEW;
                """,
            ),
            # What a unit is called stands on lines.
            *touching(EVERYBODY, columns="id, unit", operations=("update",)),
        ]

    def __str__(self) -> str:
        only = self.version == 1 and self.superseded_at is None
        return self.name if only else f"{self.name} v{self.version}"

    def written(self) -> dict[str, Any]:
        """The definition as JSON, as `manage.py measure` reads it; what is empty is left out."""
        empty = {
            "value": "", "filters": {}, "group_by": [], "operation": "", "recurring": False, "prorate": False,
            "rounding": None,
        }  # fmt: skip
        given = {key: getattr(self, key) for key in empty}
        return {"aggregation": str(self.aggregation)} | {
            key: value for key, value in given.items() if value != empty[key]
        }

    def definition(self) -> MeterDefinition:
        """The definition, read; DefinitionError for one that cannot count, which is never saved."""
        definition = parse_meter(self.written())
        return replace(definition, filters=definition.filters + self.besides) if self.besides else definition

    def narrowed(self, filters: tuple[Filter, ...]) -> "Meter":
        """The meter over only those events that pass these filters too: a copy to ask with, which has no rollup."""
        other = copy(self)
        other.besides, other.rollup_ready = self.besides + filters, False
        return other

    def as_known(self, known: Known) -> "Meter":
        """The meter over only what was known of usage: a copy to ask with, which has no rollup."""
        other = copy(self)
        other.known, other.rollup_ready = known, False
        return other
