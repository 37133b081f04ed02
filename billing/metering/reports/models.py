"""What was sent and not stored: recorded conflicts, counts of rejections, and the problems of streams as files.

None of them is a fact that bills: they say what a sender has to mend.
"""

from uuid import uuid4

from django.db import models
from django.db.models import Value
from django.db.models.functions import Coalesce

from billing.metering.models import ApiKey, EventSource


class EventConflict(models.Model):
    """An id that came again from its source with another content (R1.1): the stored event stands, this did not count.

    One row per content, however often it is sent. The event that stands is found by its key, as any event is.
    """

    digest = models.UUIDField(help_text="Key of the event that stands, as EventKey has it.")
    content = models.UUIDField(help_text="MD5 of what was sent, so that each content is kept once.")
    source = models.ForeignKey(EventSource, models.PROTECT, db_constraint=False, db_index=False, related_name="+")
    event_id = models.TextField("event id")
    sent = models.JSONField("what was sent", help_text="Type, subject, time (null: none) and data.")
    key = models.ForeignKey(
        ApiKey, models.PROTECT, null=True, db_constraint=False, verbose_name="API key", related_name="+",
        help_text="Who sent it last.",
    )  # fmt: skip
    origin = models.TextField(help_text="Where it came from: “api” or “import FILE”.")
    count = models.BigIntegerField("times sent")
    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField()

    class Meta:
        db_table = "metering_conflict"
        verbose_name = "conflict"
        ordering = ["-last_seen", "-id"]
        constraints = [models.UniqueConstraint(fields=["digest", "content"], name="metering_conflict_once")]
        indexes = [models.Index(fields=["-last_seen", "-id"], name="metering_conflict_latest")]

    def __str__(self) -> str:
        return self.event_id


class EventReject(models.Model):
    """How many events were refused within an hour (UTC), by key, origin and code, with the last one as an example.

    A request that was refused as a whole counts as one.
    """

    hour = models.DateTimeField(help_text="Start of the hour, in UTC.")
    key = models.ForeignKey(
        ApiKey, models.PROTECT, null=True, db_constraint=False, db_index=False, verbose_name="API key", related_name="+"
    )
    origin = models.TextField(help_text="Where they came from: “api” or “import FILE”.")
    code = models.TextField(help_text="The reason, for programs: “missing_subject”.")
    count = models.BigIntegerField("events")
    last_at = models.DateTimeField("last")
    last_message = models.TextField("last reason", help_text="The reason of the last one, for people.")
    last_example = models.TextField("last example", help_text="What was sent, at most 2,000 characters of it.")

    class Meta:
        db_table = "metering_reject"
        verbose_name = "rejection"
        ordering = ["-hour", "-last_at", "-id"]
        constraints = [
            models.UniqueConstraint("hour", Coalesce("key", Value(0)), "origin", "code", name="metering_reject_once"),
        ]

    def __str__(self) -> str:
        return f"{self.code}, {self.hour:%Y-%m-%d %H}:00"


class ProblemFile(models.Model):
    """All problems of a stream, for its sender to fetch: one a line, in parts that were written as the stream went."""

    id = models.UUIDField(primary_key=True, default=uuid4)
    key = models.ForeignKey(ApiKey, models.PROTECT, null=True, db_constraint=False, db_index=False, related_name="+")
    created = models.DateTimeField(db_index=True)

    class Meta:
        db_table = "metering_problem_file"

    def __str__(self) -> str:
        return str(self.id)


class ProblemPart(models.Model):
    """Some lines of a file of problems: gzip, each part by itself."""

    file = models.ForeignKey(ProblemFile, models.CASCADE, db_index=False, related_name="parts")
    n = models.IntegerField(help_text="Place in the file, from 0.")
    content = models.BinaryField()

    class Meta:
        db_table = "metering_problem_part"
        constraints = [models.UniqueConstraint(fields=["file", "n"], name="metering_problem_part_once")]

    def __str__(self) -> str:
        return f"part {self.n}"
