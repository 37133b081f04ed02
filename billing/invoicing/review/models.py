"""What review knows of drafts, who prepared and approved them, and which are approved by themselves."""

import pgtrigger
from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q

from billing.invoicing.models import MONEY, Invoice
from billing.invoicing.review.rules import Limits
from customers.models import Customer, LegalEntity
from customers.validators import validate_currency


class Assessment(models.Model):
    """What differs on an open draft and how unusual it is, as of its lines; gone once the draft is approved."""

    invoice = models.OneToOneField(Invoice, models.CASCADE, primary_key=True, related_name="assessment")
    drafted_at = models.DateTimeField(help_text="When the lines that it judges last changed.")
    previous = models.ForeignKey(
        Invoice, models.SET_NULL, null=True, db_index=False, related_name="+", db_constraint=False,
        help_text="The invoice before it.",
    )  # fmt: skip
    previous_total = models.DecimalField(**MONEY, null=True)
    change = models.DecimalField(max_digits=20, decimal_places=1, null=True, help_text="Against it, in percent.")
    year_ago = models.ForeignKey(
        Invoice, models.SET_NULL, null=True, db_index=False, related_name="+", db_constraint=False,
        help_text="That of the same period last year.",
    )  # fmt: skip
    year_total = models.DecimalField(**MONEY, null=True)
    reasons = models.JSONField(default=list, help_text="Texts and amounts, the largest difference first.")
    findings = models.JSONField(default=list, help_text="Codes and texts of what is unusual.")
    score = models.PositiveIntegerField()
    level = models.CharField(max_length=10)

    class Meta:
        ordering = ["-score", "-invoice"]
        verbose_name = "draft to review"
        verbose_name_plural = "drafts to review"
        indexes = [
            models.Index(fields=["-score", "-invoice"], name="assessment_queue"),
            models.Index(fields=["level", "-score", "-invoice"], name="assessment_level"),
        ]

    def __str__(self) -> str:
        return str(self.invoice)


class Preparation(models.Model):
    """Who had a hand in a draft, and how; append-only, and gone only with a draft that is deleted."""

    invoice = models.ForeignKey(Invoice, models.CASCADE, db_index=False, related_name="preparations")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    what = models.CharField(max_length=60, help_text="As the end of “She …”: “asked for the billing run”.")
    edited = models.BooleanField(default=False, help_text="Whether lines were changed by hand.")
    at = models.DateTimeField()

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(name="preparation_once", fields=["invoice", "user", "what"])]
        triggers = [pgtrigger.Protect(name="preparation_kept", operation=pgtrigger.Update)]

    def __str__(self) -> str:
        return f"{self.user} {self.what}"


class ApprovalPolicy(models.Model):
    """Which drafts of a seller, or of one customer, approve themselves from a day on. Never edited."""

    entity = models.ForeignKey(LegalEntity, models.PROTECT, related_name="+", verbose_name="legal entity")
    customer = models.ForeignKey(
        Customer, models.PROTECT, null=True, blank=True, related_name="+",
        help_text="For this customer alone, before what holds for all of the legal entity. Empty: all.",
    )  # fmt: skip
    since = models.DateField("from", help_text="For what is billed as of this day and later.")
    amount = models.DecimalField(
        "up to", **MONEY, null=True, blank=True, validators=[MinValueValidator(0)],
        help_text="Totals up to this amount. Empty: none is approved by itself.",
    )  # fmt: skip
    currency = models.CharField(max_length=3, validators=[validate_currency])
    change = models.DecimalField(
        "change up to", max_digits=6, decimal_places=1, null=True, blank=True, validators=[MinValueValidator(0)],
        help_text="In percent against the previous invoice, up or down. Empty: any change, and first invoices.",
    )  # fmt: skip
    unusual = models.BooleanField(default=False, help_text="Also what the review finds unusual.")
    reason = models.CharField(max_length=300, help_text="Kept with it.")
    recorded_at = models.DateTimeField(editable=False)
    recorded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, editable=False, related_name="+"
    )

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "approval policies"
        triggers = [pgtrigger.Protect(name="approval_policy_kept", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.customer or self.entity} from {self.since}"

    @property
    def limits(self) -> Limits | None:
        """As the rules read it; None where it approves nothing."""
        return None if self.amount is None else Limits(self.amount, self.currency, self.change, self.unusual)


class Approval(models.Model):
    """How an invoice came to be approved otherwise than by somebody who may: by a policy, or as an override."""

    class Kind(models.TextChoices):
        POLICY = "policy", "By a policy"
        OVERRIDE = "override", "Override"

    invoice = models.ForeignKey(Invoice, models.CASCADE, related_name="approvals")
    kind = models.CharField(max_length=10, choices=Kind)
    policy = models.ForeignKey(ApprovalPolicy, models.PROTECT, null=True, related_name="+")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    reason = models.CharField(max_length=500)
    findings = models.JSONField(default=list, help_text="What was unusual then.")
    at = models.DateTimeField()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(
                name="approval_by",
                condition=Q(kind="policy", policy__isnull=False)
                | Q(kind="override", user__isnull=False) & ~Q(reason=""),
            ),
        ]
        triggers = [pgtrigger.Protect(name="approval_kept", operation=pgtrigger.Update)]

    def __str__(self) -> str:
        return f"{self.invoice}: {self.get_kind_display()}"
