"""Issued invoices whose document is still to be drawn."""

from django.db import models

from billing.invoicing.models import Invoice


class WaitingDocument(models.Model):
    """A document that the worker has to draw. Written with the issue, gone with the document, kept with the error."""

    invoice = models.OneToOneField(Invoice, models.PROTECT, related_name="waiting_document")
    asked_at = models.DateTimeField()
    next_try_at = models.DateTimeField(db_index=True)
    attempts = models.PositiveIntegerField(default=0)
    error = models.TextField(blank=True, help_text="Why the last attempt failed.")

    class Meta:
        ordering = ["next_try_at", "id"]

    def __str__(self) -> str:
        return f"document of {self.invoice}"
