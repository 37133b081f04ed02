"""How late usage, open drafts and small invoices are handled: dated facts; and drafts that were approved early."""

import pgtrigger
from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from billing.invoicing.late.policy import Grace, Policy
from billing.invoicing.models import MONEY, Invoice
from customers.marking import EVERYBODY, touching
from customers.models import Contract, LegalEntity
from customers.validators import validate_currency


class InvoicingPolicy(models.Model):
    """What a seller has for all its invoices, or for one contract, from a day on. Never edited: a later one takes over.

    What one leaves empty stays as it was before, for a contract as its seller has it.
    """

    class Late(models.TextChoices):
        NEXT = "next", "As lines on the next invoice"
        APART = "apart", "At once, as a credit note or an invoice of its own"

    class Unit(models.TextChoices):
        HOURS = "hours", "Hours"
        DAYS = "days", "Days"

    class Zero(models.TextChoices):
        ISSUE = "issue", "Issued"
        SKIP = "skip", "Recorded, and not sent"
        CARRY = "carry", "Carried to the next invoice"

    entity = models.ForeignKey(
        LegalEntity, models.PROTECT, null=True, blank=True, related_name="policies", verbose_name="legal entity",
        help_text="For all its invoices; or choose a contract.",
    )  # fmt: skip
    contract = models.ForeignKey(
        Contract, models.PROTECT, null=True, blank=True, related_name="policies",
        help_text="For this contract alone, before what its legal entity has.",
    )  # fmt: skip
    since = models.DateField("from", help_text="For what is billed as of this day and later.")
    late = models.CharField(
        "late usage", max_length=10, choices=Late, blank=True,
        help_text="Where the difference goes when usage changes that was approved or issued. Empty: as before.",
    )  # fmt: skip
    grace = models.PositiveSmallIntegerField(
        "wait", null=True, blank=True, validators=[MaxValueValidator(2000)],
        help_text="So long after a cycle's end its draft stays open for usage. 0: not at all. Empty: as before.",
    )  # fmt: skip
    grace_unit = models.CharField("unit", max_length=10, choices=Unit, default=Unit.HOURS)
    zero = models.CharField(
        "invoices of zero", max_length=10, choices=Zero, blank=True, help_text="Empty: as before."
    )  # fmt: skip
    threshold = models.DecimalField(
        "smallest invoice", **MONEY, null=True, blank=True, validators=[MinValueValidator(0)],
        help_text="Below it an invoice waits and grows with the next. 0: none waits. Empty: as before.",
    )  # fmt: skip
    currency = models.CharField(
        max_length=3, blank=True, validators=[validate_currency], help_text="Of the smallest invoice."
    )
    reason = models.CharField(max_length=300, help_text="Kept with it.")
    recorded_at = models.DateTimeField(editable=False)
    recorded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, editable=False, related_name="+"
    )

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "invoicing policies"
        constraints = [
            models.CheckConstraint(
                name="policy_of_one",
                condition=Q(entity__isnull=False) ^ Q(contract__isnull=False),
                violation_error_message="Choose a legal entity, or a contract: one of them.",
            ),
            models.CheckConstraint(
                name="policy_says_something",
                condition=~Q(late="") | ~Q(zero="") | Q(grace__isnull=False) | Q(threshold__isnull=False),
                violation_error_message="Say at least one thing; what is left empty stays as it is.",
            ),
            models.CheckConstraint(
                name="policy_threshold_currency",
                condition=Q(threshold=None, currency="") | Q(threshold__gte=0) & ~Q(currency=""),
                violation_error_message="A smallest invoice needs its currency, and nothing else has one.",
            ),
        ]
        triggers = [
            pgtrigger.Protect(name="policy_kept", operation=pgtrigger.Update | pgtrigger.Delete),
            *touching(EVERYBODY),
        ]

    def __str__(self) -> str:
        return f"{self.contract or self.entity} from {self.since}"

    def said(self) -> Policy:
        """As the rules read it."""
        return Policy(
            late=self.late or None,  # type: ignore[arg-type]
            grace=None if self.grace is None else Grace(self.grace, self.grace_unit),  # type: ignore[arg-type]
            zero=self.zero or None,  # type: ignore[arg-type]
            threshold=None if self.threshold is None else (self.threshold, self.currency),
        )


class EarlyApproval(models.Model):
    """A draft that was approved though it was to wait: who, when, why, and what it would have waited for."""

    invoice = models.ForeignKey(Invoice, models.CASCADE, related_name="early_approvals")
    waited_for = models.CharField(max_length=300)
    reason = models.CharField(max_length=500)
    approved_at = models.DateTimeField()
    approved_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")

    class Meta:
        ordering = ["id"]
        permissions = [("approve_early", "Can approve invoices that are to wait")]
        triggers = [pgtrigger.Protect(name="early_approval_kept", operation=pgtrigger.Update)]

    def __str__(self) -> str:
        return f"{self.invoice} was approved early"
