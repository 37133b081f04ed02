"""A bulk action and its invoices, each with what became of it."""

import pgtrigger
from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from billing.invoicing.bulk.states import BULK_MOVES, ITEM_MOVES, WORKING, BulkState, ItemState, Verb


class BulkAction(models.Model):
    """Some moves of many invoices, asked for at once and made by the workers in batches."""

    verbs = ArrayField(models.CharField(max_length=10, choices=Verb), help_text="The moves, in their order.")
    state = models.CharField(max_length=10, choices=BulkState, default=BulkState.QUEUED)
    send_at = models.DateTimeField(null=True, help_text="Not sent before; none: at once.")
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    requested_at = models.DateTimeField()
    heard_at = models.DateTimeField(help_text="When a batch was finished last.")
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["id"], name="bulk_working", condition=Q(state__in=WORKING))]
        triggers = [pgtrigger.FSM(name="bulk_moves", field="state", transitions=BULK_MOVES)]

    def __str__(self) -> str:
        return f"bulk action {self.pk}"


class BulkItem(models.Model):
    """An invoice of a bulk action. It waits in one of them at a time: pressed twice, nothing is done twice."""

    action = models.ForeignKey(BulkAction, models.CASCADE, related_name="items")
    invoice = models.ForeignKey("Invoice", models.SET_NULL, null=True, related_name="+")
    total = models.DecimalField(max_digits=24, decimal_places=4, help_text="What it came to when it was chosen.")
    state = models.CharField(max_length=10, choices=ItemState, default=ItemState.WAITING)
    reason = models.TextField(blank=True, help_text="Why it was skipped.")

    class Meta:
        ordering = ["action", "id"]
        constraints = [
            models.UniqueConstraint(name="bulk_item_once", fields=["action", "invoice"]),
            models.UniqueConstraint(name="bulk_item_waits_once", fields=["invoice"], condition=Q(state="waiting")),
            models.CheckConstraint(name="bulk_item_reason", condition=Q(state="skipped") ^ Q(reason="")),
        ]
        indexes = [models.Index(fields=["action", "state", "id"], name="bulk_item_state")]
        triggers = [pgtrigger.FSM(name="bulk_item_moves", field="state", transitions=ITEM_MOVES)]

    def __str__(self) -> str:
        return f"{self.invoice} in {self.action}"
