"""Files that people upload, and places that usage is fetched from, each with the position that it stands at."""

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q

from billing.metering.corrections.models import Backfill
from billing.metering.csv_import import ImportReport
from billing.metering.sources.states import UploadState


class Counts(models.Model):
    """What became of rows: each is in one of the last four. `errors_bytes` is how far the errors file is committed."""

    rows = models.BigIntegerField(default=0, editable=False)
    accepted = models.BigIntegerField(default=0, editable=False)
    duplicates = models.BigIntegerField(default=0, editable=False)
    conflicts = models.BigIntegerField(default=0, editable=False)
    rejected = models.BigIntegerField(default=0, editable=False)
    errors_bytes = models.BigIntegerField(default=0, editable=False)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.rows:,} rows"

    @staticmethod
    def plus(report: ImportReport) -> dict[str, Any]:
        """The changes that add a report to what stands in the database."""
        return {name: models.F(name) + getattr(report, name) for name in ImportReport.__slots__}


class Leased(models.Model):
    """Work that one process does at a time. It holds `lease` and renews it; once `leased_until` is past, another may
    take it over. While nobody holds it, `leased_until` says until when it waits in the queue."""

    lease = models.UUIDField(null=True, editable=False)
    leased_until = models.DateTimeField(null=True, editable=False)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"leased until {self.leased_until}"


class Upload(Counts, Leased):
    """A file of usage that somebody uploaded, how its columns are read, and what became of its rows."""

    name = models.CharField(max_length=255, help_text="The file's name, as it was uploaded.")
    size = models.BigIntegerField(help_text="Bytes.")
    sha256 = models.CharField(max_length=64)
    uploaded_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    uploaded_at = models.DateTimeField()
    state = models.CharField(max_length=10, choices=UploadState, default=UploadState.MAPPING)
    header = models.JSONField(default=list)
    reading = models.JSONField(default=dict, help_text="Delimiter and sheet, as they were found or chosen.")
    mapping = models.JSONField(default=dict, help_text="What the columns are, as import_usage has it.")
    progress = models.IntegerField(default=0, help_text="How much of the file is read, of 1,000.")
    checked = models.JSONField(null=True, help_text="What the check found.")
    message = models.TextField(blank=True, help_text="Why it failed.")
    backfill = models.ForeignKey(Backfill, models.PROTECT, null=True, related_name="+")
    finished_at = models.DateTimeField(null=True)
    removed_at = models.DateTimeField(null=True, help_text="When the file was removed; its rows stay.")

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["sha256"], name="upload_same_file"),
            models.Index(
                fields=["leased_until"], name="upload_waiting", condition=Q(state__in=["checking", "importing"])
            ),
        ]

    def __str__(self) -> str:
        return self.name


class PullSource(Leased):
    """A place that usage is fetched from on a schedule: files of a folder or bucket, or rows of an SQL query."""

    class Kind(models.TextChoices):
        FILES = "files", "Files of a folder or bucket"
        SQL = "sql", "Rows of an SQL query"

    class Unit(models.TextChoices):
        MINUTES = "minutes", "minutes"
        HOURS = "hours", "hours"
        DAYS = "days", "days"

    name = models.CharField(max_length=100, unique=True)
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.FILES)
    address = models.CharField(
        max_length=500,
        help_text="s3://bucket/usage/*.csv, gs://…, sftp://user@host/folder, or a folder on the server; for a query"
        " postgres://user:${PULL_PASSWORD}@host/database. Secrets come from environment variables, as ${PULL_…}.",
    )
    options = models.JSONField(
        default=dict,
        blank=True,
        help_text='What the driver needs besides, e.g. {"key": "${PULL_S3_KEY}", "secret": "${PULL_S3_SECRET}"}.',
    )
    query = models.TextField(
        blank=True, help_text="E.g. SELECT id, customer, at, tokens FROM calls WHERE id > :position ORDER BY id"
    )
    cursor_column = models.CharField(
        "position column", max_length=100, blank=True, help_text="The column that the query is ordered by, e.g. id."
    )
    position = models.TextField(
        blank=True, help_text="The position column's value behind which the next run begins, e.g. 0 at first."
    )
    mapping = models.JSONField(default=dict, editable=False)
    every = models.PositiveIntegerField(default=1)
    unit = models.CharField(max_length=10, choices=Unit, default=Unit.HOURS)
    next_due_at = models.DateTimeField("next run", help_text="In UTC. Runs follow it at the interval above.")
    silent_after_hours = models.PositiveIntegerField(
        "silent after (hours)", null=True, blank=True,
        help_text="Report when no new row has come for so many hours. Empty: never.",
    )  # fmt: skip
    paused = models.BooleanField(default=False, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, editable=False, related_name="+"
    )
    created_at = models.DateTimeField(editable=False)
    last_run_at = models.DateTimeField("last run", null=True, editable=False)
    last_new_at = models.DateTimeField("last new row", null=True, editable=False)
    silent_since = models.DateTimeField(null=True, editable=False)
    failures = models.IntegerField(default=0, editable=False, help_text="Failed runs since the last good one.")
    last_error = models.TextField(blank=True, editable=False)

    class Meta:
        ordering = ["name"]
        verbose_name = "pull source"
        constraints = [
            models.CheckConstraint(
                name="pull_source_interval", condition=Q(every__gte=1),
                violation_error_message="The interval is at least 1.",
            ),
            models.CheckConstraint(
                name="pull_source_query", condition=~Q(kind="sql") | (~Q(query="") & ~Q(cursor_column="")),
                violation_error_message="A query needs its text, and the column that its position is read from.",
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return self.name


class PullFile(models.Model):
    """A file of a pull source, and how far it has been read. A file whose size and stamp stay is not read again."""

    source = models.ForeignKey(PullSource, models.CASCADE, related_name="files")
    path = models.TextField()
    size = models.BigIntegerField(null=True)
    stamp = models.TextField(blank=True, help_text="Its ETag, or when it was changed.")
    rows = models.BigIntegerField(default=0)
    digest = models.CharField(max_length=32, blank=True, help_text="blake2b-128 of its header and those rows.")
    held = models.BooleanField(default=False, help_text="A last row without an end was left for later.")
    read_at = models.DateTimeField(null=True)
    error = models.TextField(blank=True)

    class Meta:
        ordering = ["path"]
        constraints = [models.UniqueConstraint(fields=["source", "path"], name="pull_file_once")]

    def __str__(self) -> str:
        return self.path


class PullRun(Counts):
    """One look at a pull source, and what came of it."""

    source = models.ForeignKey(PullSource, models.CASCADE, related_name="runs")
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    dry_run = models.BooleanField(default=False)
    error = models.TextField(blank=True)
    removed_at = models.DateTimeField(null=True, help_text="When its errors file was removed.")

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["source", "-id"], name="pull_run_latest")]

    def __str__(self) -> str:
        return f"run {self.pk}"
