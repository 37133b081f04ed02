"""Verifications: how many invoices were computed once more, and which were not what their facts come to."""

import pgtrigger
from django.conf import settings
from django.db import models

from billing.invoicing.models import Invoice


class Verification(models.Model):
    """One time that invoices were verified."""

    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    checked = models.PositiveIntegerField(default=0, help_text="Invoices that were looked at.")
    different = models.PositiveIntegerField(default=0)
    untold = models.PositiveIntegerField(default=0, help_text="Of which it cannot be told.")

    class Meta:
        ordering = ["-id"]
        permissions = [("start_verification", "Can verify invoices")]

    def __str__(self) -> str:
        return f"Verification {self.pk}"


class Difference(models.Model):
    """An invoice that is not what its facts come to, with what differs."""

    verification = models.ForeignKey(Verification, models.CASCADE, related_name="differences")
    invoice = models.ForeignKey(Invoice, models.PROTECT, related_name="differences")
    reasons = models.JSONField(help_text="Sentences.")

    class Meta:
        ordering = ["verification", "invoice"]
        constraints = [models.UniqueConstraint(name="difference_once", fields=["verification", "invoice"])]
        triggers = [pgtrigger.Protect(name="difference_kept", operation=pgtrigger.Update)]

    def __str__(self) -> str:
        return f"{self.invoice}: {'; '.join(self.reasons)}"
