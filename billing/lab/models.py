"""What the price lab keeps: trials with their candidates, what each run of one found, and experiments."""

from typing import Any

import pgtrigger
from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from billing.catalog.models import Plan, PlanVersion, Subscription
from billing.lab.states import EXPERIMENT_MOVES, RUN_MOVES, ExperimentState, RunState
from customers.models import Contract, Customer

MONEY: dict[str, Any] = {"max_digits": 24, "decimal_places": 4}
FROZEN_VARIANT = """
    IF EXISTS (SELECT 1 FROM billing_experiment e
               WHERE e.id IN (NEW.experiment_id, OLD.experiment_id) AND e.state <> 'draft') THEN
        RAISE EXCEPTION 'this experiment has started: its variants stay as they are' USING ERRCODE = 'check_violation';
    END IF;
    IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
    RETURN NEW;
"""


class PriceTrial(models.Model):
    """A question to the price lab: what would these candidates have billed for real usage? Its inputs never change."""

    class Replaces(models.TextChoices):
        PLAN = "plan", "Subscriptions to the candidate's plan"
        PRODUCT = "product", "Subscriptions to any plan of its product"

    name = models.CharField(max_length=100)
    note = models.TextField(blank=True)
    first_month = models.DateField(help_text="The first day of the first month.")
    last_month = models.DateField(help_text="The first day of the last month, which is rated too.")
    cohort = models.JSONField(default=dict, help_text="Who is rated; {} means everybody.")
    replaces = models.CharField(max_length=10, choices=Replaces, default=Replaces.PLAN)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        permissions = [("run_pricetrial", "Can run trials in the price lab")]
        constraints = [
            models.CheckConstraint(name="trial_months", condition=Q(last_month__gte=F("first_month"))),
        ]
        triggers = [
            pgtrigger.Protect(
                name="trial_inputs",
                operation=pgtrigger.Update,
                condition=pgtrigger.Condition(
                    "((OLD.first_month, OLD.last_month, OLD.cohort, OLD.replaces)"
                    " IS DISTINCT FROM (NEW.first_month, NEW.last_month, NEW.cohort, NEW.replaces))"
                ),
            ),
        ]

    def __str__(self) -> str:
        return self.name


class TrialCandidate(models.Model):
    """A plan as a trial rates it: its whole content, frozen, whatever becomes of the version that it came from."""

    trial = models.ForeignKey(PriceTrial, models.CASCADE, related_name="candidates")
    position = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=150)
    plan = models.ForeignKey(Plan, models.PROTECT, related_name="+", help_text="Whose subscriptions it replaces.")
    version = models.ForeignKey(PlanVersion, models.SET_NULL, null=True, related_name="+")
    edited = models.BooleanField(default=False, help_text="Whether it was changed in the lab.")
    content = models.JSONField(help_text="The plan as its file has it.")

    class Meta:
        ordering = ["trial", "position"]
        constraints = [models.UniqueConstraint(name="candidate_position", fields=["trial", "position"])]
        triggers = [
            pgtrigger.Protect(
                name="candidate_frozen",
                operation=pgtrigger.Update,
                condition=pgtrigger.Condition(
                    "((OLD.trial_id, OLD.position, OLD.name, OLD.plan_id, OLD.content)"
                    " IS DISTINCT FROM (NEW.trial_id, NEW.position, NEW.name, NEW.plan_id, NEW.content))"
                ),
            ),
        ]

    def __str__(self) -> str:
        return self.name


class TrialRun(models.Model):
    """One computation of a trial, kept beside earlier ones. It commits by chunks, and goes on where it was."""

    trial = models.ForeignKey(PriceTrial, models.CASCADE, related_name="runs")
    number = models.PositiveIntegerField()
    state = models.CharField(max_length=10, choices=RunState, default=RunState.QUEUED)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    requested_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    known_through = models.BigIntegerField(null=True, help_text="Position of the last usage known when it started.")
    contracts = ArrayField(models.BigIntegerField(), default=list, help_text="Whom it rates, in order.")
    done = models.PositiveIntegerField(default=0, help_text="How many of the contracts are rated.")
    message = models.TextField(blank=True, help_text="Why it failed.")
    result = models.JSONField(null=True, help_text="Totals, distribution and the largest changes.")
    lease = models.UUIDField(null=True)
    leased_until = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(name="trialrun_number", fields=["trial", "number"])]
        indexes = [
            models.Index(  # tasks.resume
                fields=["leased_until"], name="trialrun_waiting", condition=Q(state__in=["queued", "running"])
            ),
        ]
        triggers = [pgtrigger.FSM(name="trialrun_moves", field="state", transitions=RUN_MOVES)]

    def __str__(self) -> str:
        return f"{self.trial}, run {self.number}"


class TrialOutcome(models.Model):
    """What a run found for one customer in one currency; with a problem there is nothing to compare."""

    run = models.ForeignKey(TrialRun, models.CASCADE, related_name="outcomes")
    customer = models.ForeignKey(Customer, models.CASCADE, related_name="+")
    currency = models.CharField(max_length=3)
    today = models.DecimalField(**MONEY, default=0)
    amounts = ArrayField(models.DecimalField(**MONEY), default=list, help_text="Under each candidate, in order.")
    parts = models.JSONField(default=list, help_text="Kind, charge code, today's amount and each candidate's.")
    problem = models.TextField(blank=True, help_text="Why it could not be rated.")

    class Meta:
        ordering = ["run", "id"]
        constraints = [models.UniqueConstraint(name="trialoutcome_once", fields=["run", "customer", "currency"])]

    def __str__(self) -> str:
        return f"{self.customer} in {self.currency}"


class Experiment(models.Model):
    """A share of the new contracts of a plan on each variant of its price, by a hash of contract and experiment."""

    code = models.SlugField(max_length=60, unique=True, help_text="Decides with the contract's number who gets what.")
    name = models.CharField(max_length=100)
    plan = models.ForeignKey(Plan, models.PROTECT, related_name="experiments", help_text="Whose new subscriptions.")
    starts_on = models.DateField("from", help_text="Subscriptions that start on this day or later.")
    note = models.TextField(blank=True, help_text="What it is to find out.")
    state = models.CharField(max_length=10, choices=ExperimentState, default=ExperimentState.DRAFT, editable=False)
    created_at = models.DateTimeField(auto_now_add=True, editable=False)
    started_at = models.DateTimeField(null=True, editable=False)
    stopped_at = models.DateTimeField(null=True, editable=False)
    stop_reason = models.CharField(max_length=200, blank=True, editable=False)

    class Meta:
        ordering = ["-id"]
        permissions = [("run_experiment", "Can start and stop experiments")]
        constraints = [
            models.UniqueConstraint(
                name="experiment_one_per_plan",
                fields=["plan"],
                condition=Q(state="running"),
                violation_error_message="Another experiment with this plan is running: stop that one first.",
            ),
        ]
        triggers = [
            pgtrigger.FSM(name="experiment_moves", field="state", transitions=EXPERIMENT_MOVES),
            pgtrigger.Protect(
                name="experiment_frozen",
                operation=pgtrigger.Update,
                condition=pgtrigger.Condition(
                    "OLD.state <> 'draft' AND (OLD.code, OLD.plan_id, OLD.starts_on)"
                    " IS DISTINCT FROM (NEW.code, NEW.plan_id, NEW.starts_on)"
                ),
            ),
            pgtrigger.Protect(
                name="experiment_kept",
                operation=pgtrigger.Delete,
                condition=pgtrigger.Condition("OLD.state <> 'draft'"),
            ),
        ]

    def __str__(self) -> str:
        return self.name


class ExperimentVariant(models.Model):
    """One of the offers between which an experiment chooses, and its share of the contracts."""

    experiment = models.ForeignKey(Experiment, models.CASCADE, related_name="variants")
    position = models.PositiveSmallIntegerField(default=0)
    name = models.CharField(max_length=60, help_text="E.g. control, or annual discount.")
    version = models.ForeignKey(PlanVersion, models.PROTECT, related_name="+", verbose_name="plan version")
    share = models.PositiveIntegerField(help_text="In basis points: 5000 is one half. All add up to 10000.")

    class Meta:
        ordering = ["experiment", "position", "id"]
        constraints = [
            models.UniqueConstraint(name="variant_name", fields=["experiment", "name"]),
            models.CheckConstraint(name="variant_share", condition=Q(share__lte=10_000)),
        ]
        triggers = [
            pgtrigger.Trigger(
                name="variant_frozen",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert | pgtrigger.Update | pgtrigger.Delete,
                func=FROZEN_VARIANT,
            ),
        ]

    def __str__(self) -> str:
        return self.name


class ExperimentAssignment(models.Model):
    """Which variant a contract got, kept for good."""

    experiment = models.ForeignKey(Experiment, models.PROTECT, related_name="assignments")
    variant = models.ForeignKey(ExperimentVariant, models.PROTECT, related_name="assignments")
    contract = models.ForeignKey(Contract, models.PROTECT, related_name="+")
    subscription = models.OneToOneField(Subscription, models.PROTECT, related_name="assignment")
    bucket = models.PositiveSmallIntegerField(help_text="Its place among 10,000, by the hash.")
    assigned_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(name="assignment_once", fields=["experiment", "contract"])]
        triggers = [pgtrigger.Protect(name="assignment_kept", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.contract}: {self.variant}"
