"""The usage that a document shows, kept as it was first printed: a lost file can then be drawn the same again."""

import pgtrigger
from django.db import models

from billing.invoicing.models import Invoice


class PrintedUsage(models.Model):
    """By position of the line: quantities by values and by day, as texts. Written with the document."""

    invoice = models.OneToOneField(Invoice, models.PROTECT, related_name="printed_usage")
    content = models.JSONField()

    class Meta:
        verbose_name_plural = "printed usage"
        triggers = [pgtrigger.Protect(name="printed_usage_kept", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"usage on {self.invoice}"
