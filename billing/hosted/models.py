"""Links to invoices for their customers, and the questions that were asked on their pages."""

import pgtrigger
from django.conf import settings
from django.core import signing
from django.db import models
from django.db.models import Q
from django.urls import reverse

from billing.hosted.states import DISPUTE_MOVES, DisputeState
from billing.invoicing.models import Invoice, InvoiceLine

SALT = "hosted invoice"


class LinkQuerySet(models.QuerySet["HostedLink"]):
    """Links, for the page of an invoice."""

    def with_disputes(self) -> "LinkQuerySet":
        """And what was asked by them, in three queries."""
        return self.prefetch_related("disputes__line")


class HostedLink(models.Model):
    """A way to one invoice and nothing else, until it expires or is revoked. The address is signed."""

    invoice = models.ForeignKey(Invoice, models.PROTECT, related_name="hosted_links")
    code = models.CharField(max_length=43, unique=True)
    created_at = models.DateTimeField()
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)
    revoked_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    views = models.PositiveIntegerField(default=0, help_text="How often the invoice was opened by it.")
    seen_at = models.DateTimeField(null=True, help_text="When it was opened last.")
    objects = LinkQuerySet.as_manager()

    class Meta:
        verbose_name = "customer link"
        ordering = ["-id"]
        triggers = [
            pgtrigger.ReadOnly(name="hosted_link_kept", fields=["invoice", "code", "created_at", "expires_at"]),
            pgtrigger.Protect(
                name="hosted_link_revoked_once", operation=pgtrigger.Update,
                condition=pgtrigger.Condition(
                    "OLD.revoked_at IS NOT NULL AND NEW.revoked_at IS DISTINCT FROM OLD.revoked_at"
                ),
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"link to {self.invoice}"

    @property
    def token(self) -> str:
        """The code with its signature."""
        return signing.Signer(salt=SALT).sign(self.code)

    @property
    def path(self) -> str:
        """Its address below the host."""
        return reverse("hosted", args=[self.token])

    @property
    def address(self) -> str:
        """Its whole address, where PUBLIC_URL says under which name customers reach this server."""
        return settings.PUBLIC_URL.rstrip("/") + self.path if settings.PUBLIC_URL else ""


class Dispute(models.Model):
    """A customer's question about a line: as it was asked, what was answered, and what came of it."""

    line = models.ForeignKey(InvoiceLine, models.PROTECT, related_name="disputes")
    link = models.ForeignKey(HostedLink, models.PROTECT, related_name="disputes")
    name = models.CharField("asked by", max_length=120)
    email = models.EmailField("e-mail", blank=True)
    question = models.TextField(max_length=4000)
    asked_at = models.DateTimeField()
    digest = models.CharField(max_length=64, unique=True, help_text="Of link, line and words: sent twice, kept once.")
    state = models.CharField(max_length=10, choices=DisputeState, default=DisputeState.OPEN)
    answer = models.TextField(blank=True, help_text="The customer reads it on the page of the invoice.")
    answered_at = models.DateTimeField(null=True)
    answered_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    outcome = models.TextField(blank=True, help_text="What came of it, for colleagues.")
    settled_at = models.DateTimeField(null=True)
    settled_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")

    class Meta:
        ordering = ["-id"]
        permissions = [("answer_dispute", "Can answer and settle disputes")]
        indexes = [models.Index(fields=["id"], name="dispute_open", condition=Q(state=DisputeState.OPEN))]
        constraints = [
            models.CheckConstraint(name="dispute_answer", condition=~Q(state="answered") | ~Q(answer="")),
            models.CheckConstraint(name="dispute_outcome", condition=Q(state="settled") ^ Q(outcome="")),
        ]
        triggers = [
            pgtrigger.FSM(name="dispute_moves", field="state", transitions=DISPUTE_MOVES),
            pgtrigger.ReadOnly(
                name="dispute_kept", fields=["line", "link", "name", "email", "question", "asked_at", "digest"]
            ),
        ]

    def __str__(self) -> str:
        return f"question {self.pk} about {self.line.invoice}, line {self.line.position}"
