"""Usage already counted, by hour and by day, and what is not in it yet (docs/architecture.md, Usage).

Every number here can be computed again from the events. A reader adds what is pending in the same statement, so that
it sees a batch either as pending or as counted, never as both or as neither.
"""

import pgtrigger
from django.contrib.postgres.fields import ArrayField
from django.db import models

from billing.metering.models import EventSubject, EventType
from billing.metering.rollups.fields import ExactNumber

KEEPS = "meterbook.rollups"
"""The setting of a transaction that writes days, which says what it keeps."""


class PendingBatch(models.Model):
    """A committed batch that no rollup holds yet; the rollup that counts it deletes the row."""

    batch = models.BigIntegerField(primary_key=True)
    hours = ArrayField(models.DateTimeField(), help_text="The hours (UTC) in which its events happened.")

    class Meta:
        db_table = "metering_pending"

    def __str__(self) -> str:
        return f"batch {self.batch} is pending"


class Dimensions(models.Model):
    """The values of a meter's dimensions, under a digest of them that rollups carry; NULL where events have none."""

    digest = models.UUIDField(primary_key=True)
    values = ArrayField(models.TextField(null=True))

    class Meta:
        db_table = "metering_dimensions"

    def __str__(self) -> str:
        return ", ".join(value or "–" for value in self.values)


class _Bucket(models.Model):
    """What a meter counted of a subject, by dimensions, in a stretch of time that begins at `bucket`."""

    rollup = models.BigIntegerField(help_text="The meter's rollup: one for each definition that it ever had.")
    subject = models.ForeignKey(EventSubject, models.PROTECT, db_constraint=False, db_index=False, related_name="+")
    bucket = models.DateTimeField()
    dims = models.UUIDField()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.bucket:%Y-%m-%d %H:%M} of subject {self.subject_id}"


class _Counts(_Bucket):
    """Parts from which every aggregation but `unique_count` is made; those that it does not need are NULL."""

    n = models.BigIntegerField(help_text="Events that count.")
    invalid = models.BigIntegerField(help_text="Events that the meter cannot read (R1.3).")
    total = ExactNumber(null=True, help_text="Sum of values.")
    moment = ExactNumber(null=True, help_text="Sum of value × seconds since 1970, for weighted sums.")
    value = ExactNumber(null=True, help_text="Extreme or latest value.")
    at = models.DateTimeField(null=True, help_text="When the latest event happened; ties go by arrival (R2.1).")
    at_batch = models.BigIntegerField(null=True)
    at_n = models.IntegerField(null=True)
    position = models.BigIntegerField(help_text="Of the last batch that changed it.")

    class Meta:
        abstract = True


class _Value(_Bucket):
    """A distinct value of a `unique_count`, with the last thing that happened to it in the stretch (R2.4)."""

    value = models.UUIDField(help_text="128 bits of SHA-256 of the value.")
    adds = models.BooleanField()
    at = models.DateTimeField()
    at_batch = models.BigIntegerField()
    at_n = models.IntegerField()

    class Meta:
        abstract = True


class HourCount(_Counts):
    """By hour (UTC)."""

    pk = models.CompositePrimaryKey("rollup", "subject", "bucket", "dims")

    class Meta:
        db_table = "metering_hour"


class DayCount(_Counts):
    """By day (UTC); for a meter with dimensions also all of them together, under the negated number of its rollup."""

    pk = models.CompositePrimaryKey("rollup", "subject", "bucket", "dims")

    class Meta:
        db_table = "metering_day"
        indexes = [  # days with events that a meter cannot read, of which there are few
            models.Index(fields=["rollup", "bucket"], name="metering_day_invalid", condition=models.Q(invalid__gt=0)),
        ]
        triggers = [  # a process of a release without totals or dekads would leave them behind: it fails, and waits
            pgtrigger.Trigger(
                name="day_totals",
                level=pgtrigger.Statement,
                when=pgtrigger.Before,
                operation=pgtrigger.Insert,
                func=f"""
                    IF coalesce(current_setting('{KEEPS}', true), '') <> 'totals, dekads' THEN
                        RAISE EXCEPTION 'days have totals and dekads now: restart what runs an earlier release'
                            USING ERRCODE = 'check_violation';
                    END IF;
                    RETURN NULL;
                """,
            ),
        ]


class DekadCount(_Counts):
    """By third of a month (UTC), all dimensions together, of what lies before its meter's `settled`.

    A month is then a few rows, however many of its days had usage. Under the number that days without dimensions have.
    """

    pk = models.CompositePrimaryKey("rollup", "subject", "bucket", "dims")

    class Meta:
        db_table = "metering_dekad"


class HourValue(_Value):
    """By hour (UTC)."""

    pk = models.CompositePrimaryKey("rollup", "subject", "bucket", "dims", "value")

    class Meta:
        db_table = "metering_hour_value"


class DayValue(_Value):
    """By day (UTC); totals like those of counts."""

    pk = models.CompositePrimaryKey("rollup", "subject", "bucket", "dims", "value")

    class Meta:
        db_table = "metering_day_value"


class Activity(models.Model):
    """How many events of a type a subject had on a day (UTC), whoever claims them and whatever counts them."""

    pk = models.CompositePrimaryKey("subject", "type", "day")
    type = models.ForeignKey(EventType, models.PROTECT, db_constraint=False, db_index=False, related_name="+")
    subject = models.ForeignKey(EventSubject, models.PROTECT, db_constraint=False, db_index=False, related_name="+")
    day = models.DateField()
    n = models.BigIntegerField()
    first_ts = models.DateTimeField()
    last_ts = models.DateTimeField()
    position = models.BigIntegerField(help_text="Of the last batch that changed it.")

    class Meta:
        db_table = "metering_activity"

    def __str__(self) -> str:
        return f"{self.n} events on {self.day}"
