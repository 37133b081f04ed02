"""What was agreed about a subscription, as dated facts; its intervals follow from them."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from billing.catalog.models import PlanVersion, Subscription
from customers.facts import said_once

CHANGE_SAID = (
    "subscription_id", "at", "version_id", "quantity", "runs", "options", "reason", "recorded_at", "recorded_by_id",
)  # fmt: skip
"""What a fact says; only the stamp that undoes it may ever change."""


class SubscriptionChange(models.Model):
    """From `at` on a subscription has another plan version, another quantity, begins or ends; the rest stays.

    Each holds until the next change of the same thing, whatever the order in which they were recorded. Of two that set
    the same thing at the same instant, the one recorded later holds. Append-only: undoing one stamps it, once.
    """

    subscription = models.ForeignKey(Subscription, models.PROTECT, related_name="changes")
    at = models.DateTimeField()
    version = models.ForeignKey(PlanVersion, models.PROTECT, null=True, related_name="+")
    quantity = models.DecimalField(max_digits=20, decimal_places=6, null=True)
    runs = models.BooleanField(null=True, help_text="Whether it begins or ends there; empty: neither.")
    options = models.JSONField(default=dict, help_text="How it takes effect, as in docs/changes.md.")
    reason = models.CharField(max_length=300, blank=True)
    recorded_at = models.DateTimeField()
    recorded_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    undone_at = models.DateTimeField(null=True)
    undone_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    undone_reason = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["subscription", "at", "id"]
        indexes = [models.Index(fields=["subscription", "at"], name="change_standing", condition=Q(undone_at=None))]
        constraints = [
            models.CheckConstraint(
                name="change_sets_something",
                condition=Q(version__isnull=False) | Q(quantity__isnull=False) | Q(runs__isnull=False),
                violation_error_message="A change sets a plan version, a quantity, a start or an end.",
            ),
            models.CheckConstraint(name="change_quantity", condition=Q(quantity__isnull=True) | Q(quantity__gte=0)),
            models.CheckConstraint(
                name="change_undone",
                condition=Q(undone_at=None, undone_by=None, undone_reason="")
                | Q(undone_at__isnull=False) & ~Q(undone_reason=""),
            ),
        ]
        triggers = [
            *said_once("change", stamp="undone_at", said=CHANGE_SAID),
        ]

    def __str__(self) -> str:
        return f"{self.subscription} from {self.at:%Y-%m-%d}"
