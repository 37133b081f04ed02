"""What a customer has agreed beyond the plan: dated terms of a subscription, kept for ever."""

from datetime import datetime

import pgtrigger
from django.conf import settings
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import RangeOperators
from django.db import models
from django.db.models import F, Func, Q, Value
from django.db.models.functions import Coalesce

from billing.catalog.models import Charge, ChargeCode, Subscription
from billing.catalog.terms.states import FOR_ALL, SPEND, TOGETHER, TermKind
from billing.catalog.triggers import METER_CLASH
from billing.metering.exact_json import ExactDecoder, ExactEncoder
from billing.metering.models import Meter
from customers.facts import said_once
from customers.knowledge import remembered
from customers.marking import OF_SUBSCRIPTION, touching
from customers.models import int_range

# What one statement of a term says; only the stamp that supersedes it may ever change.
SAID = (
    "subscription_id", "kind", "code_id", "charge_id", "meter_id", "value", "start", '"end"', "ramp", "step", "steps",
    "periods", "reason", "recorded_at", "recorded_by_id", "replaces_id",
)  # fmt: skip


class SubscriptionTerm(models.Model):
    """A customer's own term on a subscription over `[start, end)`: another price, a discount, a commitment.

    Append-only: ending or undoing one stamps its row, once; what remains of it is inserted as a new row.
    """

    subscription = models.ForeignKey(Subscription, models.PROTECT, related_name="terms")
    kind = models.CharField(max_length=20, choices=TermKind)
    code = models.ForeignKey(ChargeCode, models.PROTECT, null=True, related_name="terms", verbose_name="charge")
    charge = models.ForeignKey(Charge, models.PROTECT, null=True, related_name="terms", help_text="The added one.")
    meter = models.ForeignKey(Meter, models.PROTECT, null=True, related_name="terms", help_text="That counts instead.")
    value = models.JSONField(encoder=ExactEncoder, decoder=ExactDecoder, help_text="As in docs/terms.md.")
    start = models.DateTimeField()
    end = models.DateTimeField(null=True)
    periods = models.PositiveSmallIntegerField(null=True, help_text="Billing periods that the end was computed from.")
    ramp = models.UUIDField(null=True, help_text="The same for all steps of a ramp.")
    step = models.PositiveSmallIntegerField(null=True)
    steps = models.PositiveSmallIntegerField(null=True)
    reason = models.CharField(max_length=300)
    recorded_at = models.DateTimeField()
    recorded_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    replaces = models.ForeignKey("self", models.PROTECT, null=True, related_name="replaced_by")
    superseded_at = models.DateTimeField(null=True)
    superseded_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    superseded_reason = models.CharField(max_length=300, blank=True)

    agreed_end: datetime | None = None
    """The end that was agreed first, where it is read; not kept."""

    class Meta:
        ordering = ["subscription", "start", "id"]
        verbose_name = "customer's own term"
        verbose_name_plural = "customers' own terms"
        indexes = [
            models.Index(fields=["subscription", "start"], name="term_current", condition=Q(superseded_at=None)),
        ]
        constraints = [
            ExclusionConstraint(
                name="term_one_at_a_time",
                expressions=[
                    (int_range("subscription_id"), RangeOperators.OVERLAPS),
                    # Texts have no gist operator class without btree_gist: a 64-bit hash stands for the text.
                    (int_range(Func(F("kind"), Value(0), function="hashtextextended")), RangeOperators.OVERLAPS),
                    (int_range(Coalesce("code_id", Value(0, models.BigIntegerField()))), RangeOperators.OVERLAPS),
                    (Func("start", "end", function="tstzrange"), RangeOperators.OVERLAPS),
                ],
                condition=Q(superseded_at=None) & ~Q(kind__in=TOGETHER),
                violation_error_message="Another term of this kind holds for the charge at that time.",
            ),
            models.CheckConstraint(name="term_period", condition=Q(end__isnull=True) | Q(end__gt=F("start"))),
            models.CheckConstraint(
                name="term_about",
                condition=Q(kind__in=SPEND, code__isnull=True)
                | Q(kind__in=FOR_ALL)
                | ~Q(kind__in=[*SPEND, *FOR_ALL]) & Q(code__isnull=False),
            ),
            models.CheckConstraint(
                name="term_charge", condition=Q(kind="add", charge__isnull=False) | ~Q(kind="add") & Q(charge=None)
            ),
            models.CheckConstraint(
                name="term_meter", condition=Q(kind="meter", meter__isnull=False) | ~Q(kind="meter") & Q(meter=None)
            ),
            models.CheckConstraint(
                name="term_step",
                condition=Q(ramp=None, step=None, steps=None)
                | Q(ramp__isnull=False, step__gte=1, steps__gte=F("step")),
            ),
            models.CheckConstraint(name="term_reason", condition=~Q(reason="")),
            models.CheckConstraint(
                name="term_superseded",
                condition=Q(superseded_at=None, superseded_by=None, superseded_reason="")
                | Q(superseded_at__isnull=False) & ~Q(superseded_reason=""),
            ),
        ]
        triggers = [
            *said_once("term", stamp="superseded_at", said=SAID),
            remembered(),
            *touching(OF_SUBSCRIPTION),
            # At the end of a change, when what it supersedes and what takes its place both stand.
            pgtrigger.Trigger(
                name="term_meters",
                level=pgtrigger.Row,
                when=pgtrigger.After,
                timing=pgtrigger.Deferred,
                operation=pgtrigger.Insert | pgtrigger.Update,
                condition=pgtrigger.Condition("NEW.kind IN ('add', 'meter', 'remove')"),
                declare=[("buyer", "bigint"), ("clash", "text")],
                func=METER_CLASH,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of {self.code or 'all charges'} from {self.start:%Y-%m-%d}"
