"""A run, its chunks, and what came of each contract."""

import pgtrigger
from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from billing.invoicing.runs.states import CHUNK_MOVES, RUN_MOVES, ChunkState, RunState
from customers.models import Contract, Customer


class BillingRun(models.Model):
    """One attempt to bring a set of contracts up to date as of a day: desired − recorded for each."""

    as_of = models.DateField(help_text="The start of this day in each contract's time zone.")
    state = models.CharField(max_length=10, choices=RunState, default=RunState.QUEUED)
    contracts = models.PositiveIntegerField(default=0, help_text="How many it bills.")
    left_out = models.PositiveIntegerField(
        default=0, help_text="Contracts of which nothing fell due and nothing was learned since they were computed."
    )
    again = models.ForeignKey(
        "self", models.PROTECT, null=True, related_name="repeated_by", verbose_name="repeats",
        help_text="The run whose held and failed contracts it bills again.",
    )  # fmt: skip
    known_through = models.BigIntegerField(null=True, help_text="Position of the last fact that it counts.")
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    started_at = models.DateTimeField(help_text="When it was asked for.")
    finished_at = models.DateTimeField(null=True)
    cancelled_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")

    class Meta:
        ordering = ["-id"]
        permissions = [("start_billingrun", "Can start billing runs")]
        indexes = [models.Index(fields=["id"], name="run_working", condition=Q(state__in=["queued", "running"]))]
        triggers = [pgtrigger.FSM(name="run_moves", field="state", transitions=RUN_MOVES)]

    def __str__(self) -> str:
        return f"run {self.pk} as of {self.as_of}"


class RunChunk(models.Model):
    """A part of a run that commits as a whole: all contracts of some customers, with what came of them.

    `attempts` counts how often a worker began it. What the transaction knew of usage is `known_position`, the position
    of the last batch of events, and `known_pending`, the numbers of batches that had none yet.
    """

    run = models.ForeignKey(BillingRun, models.CASCADE, related_name="chunks")
    number = models.PositiveIntegerField()
    contract_ids = ArrayField(models.BigIntegerField())
    state = models.CharField(max_length=10, choices=ChunkState, default=ChunkState.OPEN)
    attempts = models.PositiveSmallIntegerField(default=0)
    error = models.TextField(blank=True, help_text="Why the last attempt was given up.")
    drafted = models.PositiveIntegerField(default=0)
    unchanged = models.PositiveIntegerField(default=0)
    held = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    known_position = models.BigIntegerField(null=True)
    known_pending = ArrayField(models.BigIntegerField(), default=list)
    known_at = models.DateTimeField(null=True)
    worker = models.IntegerField(null=True, help_text="Process that began it last.")
    started_at = models.DateTimeField(null=True, help_text="When it was begun last.")
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["run", "number"]
        constraints = [models.UniqueConstraint(name="chunk_number", fields=["run", "number"])]
        indexes = [models.Index(fields=["run", "number"], name="chunk_open", condition=Q(state="open"))]
        triggers = [pgtrigger.FSM(name="chunk_moves", field="state", transitions=CHUNK_MOVES)]

    def __str__(self) -> str:
        return f"chunk {self.number} of {self.run}"


class RunOutcome(models.Model):
    """What a run did for one contract; `amount` is the delta that was drafted or is held, where it is known."""

    class Result(models.TextChoices):
        DRAFTED = "drafted", "Drafted"
        UNCHANGED = "unchanged", "Unchanged"
        HELD = "held", "Held"
        FAILED = "failed", "Failed"

    run = models.ForeignKey(BillingRun, models.CASCADE, related_name="outcomes")
    contract = models.ForeignKey(Contract, models.PROTECT, related_name="+")
    customer = models.ForeignKey(Customer, models.PROTECT, related_name="+")
    result = models.CharField(max_length=10, choices=Result)
    code = models.CharField(max_length=30, blank=True, help_text="What kind of reason.")
    reason = models.TextField(blank=True)
    amount = models.DecimalField(max_digits=24, decimal_places=4, null=True)
    currency = models.CharField(max_length=3, blank=True)
    invoice = models.ForeignKey("Invoice", models.SET_NULL, null=True, related_name="+")

    class Meta:
        ordering = ["run", "contract"]
        constraints = [models.UniqueConstraint(name="outcome_once", fields=["run", "contract"])]
        indexes = [models.Index(fields=["run", "result"], name="outcome_result")]

    def __str__(self) -> str:
        return f"{self.contract}: {self.get_result_display()}"
