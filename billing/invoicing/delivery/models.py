"""E-mails of invoices, and the letters that people wrote for them."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from billing.invoicing.delivery.letters import LANGUAGES
from billing.invoicing.delivery.states import DeliveryState
from billing.invoicing.models import Invoice
from customers.models import LegalEntity

__all__ = ["Delivery", "MailTemplate"]


class Delivery(models.Model):
    """One e-mail of an invoice: to whom, under which message id, and what became of it.

    `next_try_at` is when it is (or was) due; `refused` has the addresses that the mail server did not take, or that
    sent it back, with the reason; `remark` says what was done otherwise than asked, such as another letter.
    """

    invoice = models.ForeignKey(Invoice, models.PROTECT, related_name="deliveries")
    state = models.CharField(max_length=10, choices=DeliveryState, default=DeliveryState.WAITING)
    recipients = models.JSONField()
    cc = models.JSONField("copy to", default=list)
    bcc = models.JSONField("hidden copy to", default=list)
    message_id = models.CharField(max_length=200, unique=True)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    requested_at = models.DateTimeField()
    attempts = models.PositiveSmallIntegerField(default=0)
    next_try_at = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    error = models.TextField(blank=True)
    refused = models.JSONField(default=dict)
    remark = models.TextField(blank=True)

    class Meta:
        ordering = ["-id"]
        verbose_name = "e-mail"
        verbose_name_plural = "e-mails"
        constraints = [
            models.UniqueConstraint(name="delivery_once", fields=["invoice"], condition=Q(state="waiting")),
            models.CheckConstraint(
                name="delivery_sent",
                condition=Q(state__in=["sent", "bounced"], sent_at__isnull=False)
                | Q(state__in=["waiting", "failed"], sent_at__isnull=True),
            ),
            models.CheckConstraint(
                name="delivery_due", condition=~Q(state="waiting") | Q(next_try_at__isnull=False)
            ),
        ]  # fmt: skip
        indexes = [models.Index(name="delivery_waiting", fields=["next_try_at"], condition=Q(state="waiting"))]

    def __str__(self) -> str:
        return f"{self.invoice} to {', '.join(self.recipients)}"


class MailTemplate(models.Model):
    """The letter that goes with invoices in a language: of one seller, or of all that have none of their own."""

    entity = models.ForeignKey(
        LegalEntity, models.PROTECT, null=True, blank=True, related_name="+", verbose_name="legal entity",
        help_text="Empty: for every legal entity without a letter of its own in this language.",
    )  # fmt: skip
    language = models.CharField(max_length=2, choices=LANGUAGES)
    subject = models.CharField(max_length=200)
    body = models.TextField()
    changed_at = models.DateTimeField(editable=False)
    changed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, editable=False,
                                   related_name="+")  # fmt: skip

    class Meta:
        ordering = ["language", "entity"]
        verbose_name = "letter"
        constraints = [
            models.UniqueConstraint(
                name="letter_once", fields=["entity", "language"], nulls_distinct=False,
                violation_error_message="There is a letter in this language already: change that one.",
            )
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.get_language_display()}, {self.entity or 'all legal entities'}"
