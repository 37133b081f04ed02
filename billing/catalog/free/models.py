"""Trials and pauses: dated facts about when a subscription owes nothing (R4.6)."""

from django.conf import settings
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import RangeOperators
from django.db import models
from django.db.models import F, Func, Q

from billing.catalog.models import Product, Subscription
from customers.facts import said_once
from customers.knowledge import remembered
from customers.marking import OF_SUBSCRIPTION, touching
from customers.models import Customer, int_range

# What one statement says; only the stamp that takes it back may ever change.
_SAID = (
    "subscription_id", "customer_id", "product_id", "kind", "start", '"end"', "fees", '"usage"', "reason",
    "recorded_at", "recorded_by_id", "replaces_id",
)  # fmt: skip


class SubscriptionFreeTime(models.Model):
    """A trial or a pause of a subscription over `[start, end)`; an `end` of None leaves a pause open.

    Append-only: ending one at another time stamps its row, once, and inserts the row that takes its place.
    """

    class Kind(models.TextChoices):
        TRIAL = "trial", "Trial"
        PAUSE = "pause", "Pause"

    subscription = models.ForeignKey(Subscription, models.PROTECT, related_name="free_times")
    customer = models.ForeignKey(Customer, models.PROTECT, related_name="+", help_text="Who has had the trial.")
    product = models.ForeignKey(Product, models.PROTECT, related_name="+")
    kind = models.CharField(max_length=5, choices=Kind)
    start = models.DateTimeField()
    end = models.DateTimeField(null=True)
    fees = models.BooleanField("no fee", help_text="Recurring fees are not charged in it.")
    usage = models.BooleanField("usage free", help_text="Usage is not charged in it.")
    reason = models.CharField(max_length=300)
    recorded_at = models.DateTimeField()
    recorded_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    replaces = models.ForeignKey("self", models.PROTECT, null=True, related_name="replaced_by")
    undone_at = models.DateTimeField(null=True)
    undone_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    undone_reason = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["subscription", "start", "id"]
        verbose_name = "trial or pause"
        verbose_name_plural = "trials and pauses"
        indexes = [
            models.Index(fields=["subscription", "start"], name="free_time_current", condition=Q(undone_at=None)),
        ]
        constraints = [
            ExclusionConstraint(
                name="free_time_one_at_a_time",
                expressions=[
                    (int_range("subscription_id"), RangeOperators.OVERLAPS),
                    (Func("start", "end", function="tstzrange"), RangeOperators.OVERLAPS),
                ],
                condition=Q(undone_at=None),
                violation_error_message="This subscription has a trial or a pause at that time.",
            ),
            models.UniqueConstraint(
                name="free_time_one_trial",
                fields=["customer", "product"],
                condition=Q(kind="trial", undone_at=None),
                violation_error_message="This customer has had a trial of this product.",
            ),
            models.CheckConstraint(name="free_time_period", condition=Q(end__isnull=True) | Q(end__gt=F("start"))),
            models.CheckConstraint(
                name="free_time_trial", condition=~Q(kind="trial") | Q(end__isnull=False, fees=True)
            ),
            models.CheckConstraint(name="free_time_reason", condition=~Q(reason="")),
            models.CheckConstraint(
                name="free_time_undone",
                condition=Q(undone_at=None, undone_by=None, undone_reason="")
                | (Q(undone_at__isnull=False) & ~Q(undone_reason="")),
            ),
        ]
        triggers = [
            *said_once("free_time", stamp="undone_at", said=_SAID),
            remembered(),
            *touching(OF_SUBSCRIPTION),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of {self.subscription} from {self.start:%Y-%m-%d}"
