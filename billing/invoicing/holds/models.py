"""A hold: why a contract gets no draft, since when, and who let it go. And how much doubtful usage is let pass."""

import pgtrigger
from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Coalesce

from billing.invoicing.runs.models import BillingRun
from customers.marking import EVERYBODY, touching
from customers.models import Contract, LegalEntity


class Hold(models.Model):
    """A check that a contract failed, from the first run that saw it to the last.

    It stands until it is released or a run no longer finds the reason, which ends it. `covers` is what a release lets
    pass, as the check that made it wrote it down: whatever is not in it holds again.
    """

    contract = models.ForeignKey(Contract, models.PROTECT, related_name="holds")
    code = models.CharField(max_length=30, help_text="Which check.")
    sentence = models.TextField(help_text="The reason and the way out.")
    detail = models.JSONField(default=list, help_text="What it is about, one line each.")
    covers = models.JSONField(default=dict, help_text="What a release lets pass.")
    releasable = models.BooleanField(default=False)
    amount = models.DecimalField(
        max_digits=24, decimal_places=4, null=True, help_text="What is held, where it is known."
    )
    first_run = models.ForeignKey(BillingRun, models.SET_NULL, null=True, related_name="+")
    first_seen_at = models.DateTimeField()
    last_run = models.ForeignKey(BillingRun, models.SET_NULL, null=True, related_name="+")
    last_seen_at = models.DateTimeField()
    released_at = models.DateTimeField(null=True)
    released_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    released_why = models.TextField(blank=True)
    ended_at = models.DateTimeField(null=True, help_text="When a run no longer found the reason.")

    class Meta:
        ordering = ["-id"]
        permissions = [("release_hold", "Can release holds")]
        constraints = [
            models.UniqueConstraint(
                name="hold_once", fields=["contract", "code"], condition=Q(released_at=None, ended_at=None)
            ),
            models.CheckConstraint(name="hold_ends_once", condition=Q(released_at=None) | Q(ended_at=None)),
            models.CheckConstraint(
                name="hold_released_for_a_reason",
                condition=Q(released_at=None) | ~Q(released_why="") & Q(releasable=True),
            ),
        ]  # fmt: skip
        triggers = [
            pgtrigger.Protect(name="hold_kept", operation=pgtrigger.Delete),
            pgtrigger.Protect(
                name="hold_frozen",
                operation=pgtrigger.Update,
                condition=pgtrigger.Condition(
                    "ROW(OLD.contract_id, OLD.code, OLD.sentence, OLD.detail, OLD.covers, OLD.amount, OLD.released_at,"
                    " OLD.released_why, OLD.ended_at) IS DISTINCT FROM ROW(NEW.contract_id, NEW.code, NEW.sentence,"
                    " NEW.detail, NEW.covers, NEW.amount, NEW.released_at, NEW.released_why, NEW.ended_at)"
                    " AND (OLD.released_at IS NOT NULL OR OLD.ended_at IS NOT NULL)"
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"hold of {self.contract}"


class UsageTolerance(models.Model):
    """How much usage of a customer a run lets pass that no meter counts or that a meter cannot read.

    Of a legal entity, or of all that have none of their own. An empty limit is no limit; 0 lets nothing pass.
    """

    entity = models.OneToOneField(
        LegalEntity, models.CASCADE, null=True, blank=True, related_name="usage_tolerance",
        verbose_name="legal entity", help_text="Empty: every legal entity without one of its own.",
    )  # fmt: skip
    invalid_events = models.PositiveIntegerField(
        "unreadable events", null=True, blank=True,
        help_text="More events than so many that a meter cannot read hold the customer. Empty: no limit.",
    )  # fmt: skip
    invalid_share = models.DecimalField(
        "unreadable share (%)", max_digits=5, decimal_places=2, null=True, blank=True,
        validators=[MinValueValidator(0), MaxValueValidator(100)],
        help_text="A larger share of the customer's events that a meter cannot read holds the customer.",
    )  # fmt: skip
    uncounted_events = models.PositiveIntegerField(
        "uncounted events", null=True, blank=True,
        help_text="More events than so many of types that no meter counts hold the customer. Empty: no limit.",
    )  # fmt: skip
    uncounted_share = models.DecimalField(
        "uncounted share (%)", max_digits=5, decimal_places=2, null=True, blank=True,
        validators=[MinValueValidator(0), MaxValueValidator(100)],
        help_text="A larger share of the customer's events of types that no meter counts holds the customer.",
    )  # fmt: skip

    class Meta:
        ordering = ["entity"]
        verbose_name_plural = "usage tolerances"
        constraints = [models.UniqueConstraint(Coalesce("entity", 0), name="tolerance_of_all")]
        triggers = touching(EVERYBODY)

    def __str__(self) -> str:
        return f"tolerance of {self.entity or 'every legal entity'}"

    @property
    def counts_uncounted(self) -> bool:
        """Whether it matters at all that no meter counts an event."""
        return self.uncounted_events is not None or self.uncounted_share is not None
