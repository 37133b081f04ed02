"""Coupons: what they take off, of what, and for how long; and who redeemed them, from which cycle on."""

import pgtrigger
from django.conf import settings
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import RangeOperators
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Func, Q, Value
from django.db.models.functions import Coalesce

from billing.catalog.agreements.facts import DatedFact, kept_triggers, said_constraints
from customers.knowledge import remembered
from customers.marking import touching
from customers.models import CODE, Contract, Customer, int_range
from customers.validators import validate_currency


class Coupon(models.Model):
    """A percentage or an amount off, for once, for n cycles or for ever. Frozen once somebody redeemed it."""

    class Scope(models.TextChoices):
        ALL = "all", "Everything"
        PLANS = "plans", "Charges of some plans"
        CHARGES = "charges", "Some charges"

    class Duration(models.TextChoices):
        ONCE = "once", "Once"
        CYCLES = "cycles", "For some cycles"
        FOREVER = "forever", "For ever"

    code = models.CharField(max_length=40, unique=True, validators=[CODE], help_text="As customers know it.")
    name = models.CharField(max_length=60, help_text="As printed on the invoice.")
    percentage = models.DecimalField(max_digits=9, decimal_places=6, null=True, blank=True)
    amount = models.DecimalField(max_digits=30, decimal_places=4, null=True, blank=True)
    currency = models.CharField(
        max_length=3, blank=True, validators=[validate_currency], help_text="Of an amount; empty for a percentage."
    )
    scope = models.CharField("off", max_length=10, choices=Scope, default=Scope.ALL)
    codes = models.JSONField("plans or charges", default=list, blank=True, help_text="Codes of plans, or of charges.")
    duration = models.CharField(max_length=10, choices=Duration, default=Duration.ONCE)
    cycles = models.PositiveSmallIntegerField(null=True, blank=True, validators=[MinValueValidator(1)])
    valid_from = models.DateField(null=True, blank=True, help_text="First day on which it can start. Empty: any.")
    valid_to = models.DateField("valid until", null=True, blank=True, help_text="The day after the last. Empty: any.")
    max_redemptions = models.PositiveIntegerField(
        "redemptions at most", null=True, blank=True, validators=[MinValueValidator(1)], help_text="Empty: no limit."
    )
    created_at = models.DateTimeField(editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, editable=False, related_name="+"
    )
    retired_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["code"]
        constraints = [
            models.CheckConstraint(
                name="coupon_percentage_or_amount",
                condition=Q(percentage__gt=0, percentage__lte=100, amount=None, currency="")
                | Q(percentage=None, amount__gt=0) & ~Q(currency=""),
                violation_error_message="Write a percentage up to 100, or an amount with its currency.",
            ),
            models.CheckConstraint(
                name="coupon_scope",
                condition=Q(scope="all", codes=[]) | ~Q(scope="all") & ~Q(codes=[]),
                violation_error_message="Choose which plans or charges; for everything choose none.",
            ),
            models.CheckConstraint(
                name="coupon_cycles",
                condition=Q(duration="cycles", cycles__gte=1) | ~Q(duration="cycles") & Q(cycles=None),
                violation_error_message="Say for how many cycles, only where it is for some cycles.",
            ),
            models.CheckConstraint(
                name="coupon_validity",
                condition=Q(valid_from=None) | Q(valid_to=None) | Q(valid_to__gt=F("valid_from")),
                violation_error_message="It is valid until a day after it is valid from.",
            ),
        ]
        triggers = [
            pgtrigger.Trigger(
                name="coupon_frozen",
                when=pgtrigger.Before,
                operation=pgtrigger.Update | pgtrigger.Delete,
                func="""
                    IF EXISTS (SELECT 1 FROM billing_redemption r WHERE r.coupon_id = OLD.id)
                       AND (TG_OP = 'DELETE' OR to_jsonb(OLD) - ARRAY['retired_at', 'max_redemptions', 'valid_to']
                            IS DISTINCT FROM to_jsonb(NEW) - ARRAY['retired_at', 'max_redemptions', 'valid_to']) THEN
                        RAISE EXCEPTION 'coupon % was redeemed: make another one', OLD.code
                            USING ERRCODE = 'check_violation';
                    END IF;
                    IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
                    RETURN NEW;
                """,
            ),
            remembered(),
        ]

    def __str__(self) -> str:
        return self.code


class Redemption(DatedFact):
    """A coupon applied from the cycle on that contains `start`; after `end` no cycle that begins then has it.

    Of one contract, or of all contracts of a customer: then a percentage. Days are in each contract's time zone.
    """

    coupon = models.ForeignKey(Coupon, models.PROTECT, related_name="redemptions")
    customer = models.ForeignKey(Customer, models.PROTECT, related_name="redemptions")
    contract = models.ForeignKey(Contract, models.PROTECT, null=True, blank=True, related_name="redemptions")
    start = models.DateField("from")
    end = models.DateField("until", null=True)
    rank = models.PositiveSmallIntegerField(null=True, help_text="Place in the order; those without one come after.")

    class Meta:
        ordering = ["coupon", "start", "id"]
        indexes = [
            models.Index(fields=["customer"], name="redemption_current", condition=Q(superseded_at=None)),
        ]
        constraints = [
            ExclusionConstraint(
                name="redemption_once",
                expressions=[
                    (int_range("coupon_id"), RangeOperators.OVERLAPS),
                    (int_range("customer_id"), RangeOperators.OVERLAPS),
                    (int_range(Coalesce("contract_id", Value(0, models.BigIntegerField()))), RangeOperators.OVERLAPS),
                    (Func("start", "end", function="daterange"), RangeOperators.OVERLAPS),
                ],
                condition=Q(superseded_at=None),
                violation_error_message="This coupon is applied there at that time already.",
            ),
            models.CheckConstraint(name="redemption_period", condition=Q(end=None) | Q(end__gt=F("start"))),
            *said_constraints("redemption"),
        ]
        triggers = [
            *kept_triggers("redemption"),
            *touching(
                "SELECT k.id FROM rows r JOIN customers_contract k ON k.customer_id = r.customer_id"
                " AND (r.contract_id IS NULL OR r.contract_id = k.id)"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.coupon} for {self.contract or self.customer} from {self.start}"
