"""What RevOps configures: products, plans, versions and charges; and the subscriptions that bind customers to them."""

from zoneinfo import ZoneInfo

import pgtrigger
from django.conf import settings
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import RangeOperators
from django.db import models
from django.db.models import F, Func, Q

from billing.catalog.states import VERSION_MOVES, VersionState
from billing.catalog.triggers import (
    FROZEN_WITH_TERM,
    FROZEN_WITH_VERSION,
    INTERVAL_BOUND,
    NOT_OF_RETIRED,
    VERSION_FROZEN,
)
from billing.metering.models import Meter
from customers.facts import said_once
from customers.knowledge import remembered
from customers.marking import OF_SUBSCRIPTION, touching
from customers.models import CADENCE, Contract, int_range
from customers.validators import validate_currency


class Product(models.Model):
    """What is sold."""

    code = models.SlugField(max_length=60, unique=True)
    name = models.CharField(max_length=100)

    class Meta:
        ordering = ["code"]

    def __str__(self) -> str:
        return self.name


class ChargeCode(models.Model):
    """The lasting name of a charge, shared by all plans of a product: a swap of plans keeps what it billed."""

    product = models.ForeignKey(Product, models.PROTECT, related_name="charge_codes")
    code = models.SlugField(max_length=60)

    class Meta:
        ordering = ["product", "code"]
        constraints = [
            models.UniqueConstraint(
                name="chargecode_of_product",
                fields=["product", "code"],
                violation_error_message="This product has a charge code of that name.",
            ),
        ]

    def __str__(self) -> str:
        return self.code


class Plan(models.Model):
    """An offer: a product at a price, in versions."""

    product = models.ForeignKey(Product, models.PROTECT, related_name="plans")
    code = models.SlugField(max_length=60, unique=True)
    name = models.CharField(max_length=100)

    class Meta:
        ordering = ["code"]

    def __str__(self) -> str:
        return self.name


class PlanVersion(models.Model):
    """The frozen, dated form of a plan: draft → published → retired, and immutable once it is published.

    `publish_at` is when a draft is to be published by itself; a published version keeps it as what was planned.
    """

    plan = models.ForeignKey(Plan, models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField(editable=False)
    note = models.CharField(max_length=200, blank=True, help_text="What is new in this version.")
    state = models.CharField(max_length=10, choices=VersionState, default=VersionState.DRAFT, editable=False)
    published_at = models.DateTimeField(null=True, editable=False)
    published_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, editable=False, related_name="+"
    )
    warnings = models.JSONField(default=list, editable=False)  # sentences that were confirmed at publication
    reason = models.CharField(max_length=500, blank=True, editable=False)  # why it was published in spite of them
    publish_at = models.DateTimeField("to be published", null=True, editable=False)
    publish_zone = models.CharField(max_length=50, blank=True, editable=False)  # in which the time was chosen
    scheduled_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, editable=False, related_name="+"
    )
    problem = models.TextField(blank=True, editable=False)  # why it was not published when it was due
    retired_at = models.DateTimeField(null=True, editable=False)
    retired_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, editable=False, related_name="+"
    )

    class Meta:
        ordering = ["plan", "-number"]
        permissions = [("publish_planversion", "Can publish plan versions")]
        indexes = [  # the drafts that are to be published by themselves, of which there are few
            models.Index(
                fields=["publish_at"], name="version_due", condition=Q(state="draft", publish_at__isnull=False)
            ),
        ]
        constraints = [
            models.UniqueConstraint(name="planversion_number", fields=["plan", "number"]),
            models.CheckConstraint(
                name="planversion_published_at", condition=Q(state="draft") ^ Q(published_at__isnull=False)
            ),
            models.CheckConstraint(
                name="planversion_retired_at", condition=Q(state="retired") ^ Q(retired_at__isnull=True)
            ),
        ]
        triggers = [
            pgtrigger.FSM(name="version_moves", field="state", transitions=VERSION_MOVES),
            pgtrigger.Protect(
                name="version_frozen",
                operation=pgtrigger.Update,
                condition=pgtrigger.Condition(VERSION_FROZEN),
            ),
            pgtrigger.Protect(
                name="version_kept", operation=pgtrigger.Delete, condition=pgtrigger.Condition("OLD.state <> 'draft'")
            ),
            pgtrigger.Protect(
                name="version_born_draft",
                operation=pgtrigger.Insert,
                condition=pgtrigger.Condition("NEW.state <> 'draft'"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.plan} v{self.number}"

    @property
    def planned(self) -> str:
        """When it is to be published, as it was chosen: “2026-07-01 09:00 (Europe/Berlin)”; "" where nothing is."""
        if self.publish_at is None:
            return ""
        zone = self.publish_zone or "UTC"
        return f"{self.publish_at.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M} ({zone})"


class Charge(models.Model):
    """One priced item of a plan version, or of one customer's subscription: a recurring fee, or usage of a meter."""

    class Kind(models.TextChoices):
        RECURRING = "recurring", "Recurring fee"
        USAGE = "usage", "Usage"

    class Pay(models.TextChoices):
        IN_ADVANCE = "in_advance", "In advance"
        IN_ARREARS = "in_arrears", "In arrears"

    class Window(models.TextChoices):
        HOUR = "hour", "Each hour alone"
        DAY = "day", "Each day alone"

    class Treatment(models.TextChoices):
        RATABLE = "ratable", "Ratably over the service period"
        AS_USED = "as_used", "As used"
        POINT = "point", "At a point, on delivery"

    version = models.ForeignKey(PlanVersion, models.CASCADE, null=True, blank=True, related_name="charges")
    subscription = models.ForeignKey(
        "Subscription", models.PROTECT, null=True, blank=True, editable=False, related_name="charges",
        help_text="Whose own charge it is; empty for a charge of a plan.",
    )  # fmt: skip
    code = models.ForeignKey(ChargeCode, models.PROTECT, related_name="charges")
    name = models.CharField(max_length=100, help_text="As printed on the invoice.")
    kind = models.CharField(max_length=10, choices=Kind)
    pay = models.CharField(max_length=10, choices=Pay, default=Pay.IN_ADVANCE)
    meter = models.ForeignKey(Meter, models.PROTECT, null=True, blank=True, related_name="charges")
    unit = models.CharField(
        max_length=40, blank=True, help_text="What a recurring fee is paid for, in the singular, e.g. seat."
    )
    cadence = models.CharField(
        max_length=10,
        blank=True,
        validators=[CADENCE],
        help_text="ISO 8601, e.g. P1M (monthly) or P1Y. Empty: the contract's.",
    )
    proration = models.CharField(
        max_length=10, choices=Contract.Proration, blank=True, help_text="Empty: the contract's."
    )
    window = models.CharField(
        "priced by",
        max_length=5,
        choices=Window,
        blank=True,
        help_text="Price each hour or day of usage alone, then add: peaks, daily caps. Empty: the whole period.",
    )
    invoice_group = models.CharField(
        max_length=60, blank=True, help_text="Heading under which the invoice prints it. Empty: none."
    )
    tax_code = models.CharField(
        max_length=40, blank=True, help_text="What a tax provider knows it by. Empty: the seller's standard treatment."
    )
    revenue_treatment = models.CharField(
        max_length=10,
        choices=Treatment,
        blank=True,
        help_text="Empty: a recurring fee ratably over its service period, usage as used.",
    )
    position = models.PositiveSmallIntegerField(default=0, help_text="Order on the invoice.")

    class Meta:
        ordering = ["version", "position", "id"]
        constraints = [
            models.UniqueConstraint(
                name="charge_code_once",
                fields=["version", "code"],
                violation_error_message="This version has a charge of that code.",
            ),
            models.CheckConstraint(
                name="charge_of_plan_or_customer",
                condition=Q(version__isnull=False) ^ Q(subscription__isnull=False),
                violation_error_message="A charge belongs to a plan version or to one subscription.",
            ),
            models.CheckConstraint(
                name="charge_meter_of_usage",
                condition=Q(kind="usage", meter__isnull=False, pay="in_arrears")
                | Q(kind="recurring", meter__isnull=True),
                violation_error_message="Usage needs a meter and is paid in arrears; a recurring fee has no meter.",
            ),
            models.CheckConstraint(
                name="charge_window_of_usage",
                condition=Q(window="") | Q(kind="usage", window__in=["hour", "day"]),
                violation_error_message="Only usage is priced by hour or by day.",
            ),
            models.CheckConstraint(
                name="charge_cadence",
                condition=Q(cadence="") | Q(cadence__regex=r"^P[1-9][0-9]*[DWMY]$"),
                violation_error_message="Use an ISO 8601 cadence, e.g. P1M, P3M, P1Y, P2W or P10D.",
            ),
            models.CheckConstraint(
                name="charge_choices",
                condition=Q(proration__in=["", "day", "second", "month30", "none"])
                & Q(revenue_treatment__in=["", "ratable", "as_used", "point"]),
            ),
        ]
        triggers = [
            pgtrigger.Trigger(
                name="charge_frozen",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert | pgtrigger.Update | pgtrigger.Delete,
                func=FROZEN_WITH_VERSION.format(ids="NEW.version_id, OLD.version_id"),
            ),
            # What a customer's term adds stands as it was agreed: another charge takes its place.
            pgtrigger.Trigger(
                name="charge_own_frozen",
                when=pgtrigger.Before,
                operation=pgtrigger.Update | pgtrigger.Delete,
                func=FROZEN_WITH_TERM.format(id="OLD.id"),
            ),
        ]

    def __str__(self) -> str:
        return self.name


class ChargePrice(models.Model):
    """The price of a charge in one currency, as in `docs/formats.md`."""

    charge = models.ForeignKey(Charge, models.CASCADE, related_name="prices")
    currency = models.CharField(max_length=3, validators=[validate_currency])
    price = models.JSONField(help_text='e.g. {"model": "per_unit", "unit_amount": "0.000015"}')

    class Meta:
        ordering = ["charge", "currency"]
        constraints = [
            models.UniqueConstraint(
                name="chargeprice_currency",
                fields=["charge", "currency"],
                violation_error_message="This charge has a price in that currency.",
            ),
        ]
        triggers = [
            pgtrigger.Trigger(
                name="price_frozen",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert | pgtrigger.Update | pgtrigger.Delete,
                func=FROZEN_WITH_VERSION.format(
                    ids="(SELECT version_id FROM billing_charge WHERE id = NEW.charge_id),"
                    " (SELECT version_id FROM billing_charge WHERE id = OLD.charge_id)"
                ),
            ),
            pgtrigger.Trigger(
                name="price_own_frozen",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert | pgtrigger.Update | pgtrigger.Delete,
                func=FROZEN_WITH_TERM.format(id="coalesce(NEW.charge_id, OLD.charge_id)"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.charge} in {self.currency}"


class Subscription(models.Model):
    """A stable line of a contract; what it binds are dated intervals below it."""

    contract = models.ForeignKey(Contract, models.PROTECT, related_name="subscriptions")
    product = models.ForeignKey(Product, models.PROTECT, related_name="subscriptions")
    code = models.SlugField(max_length=60)
    created_at = models.DateTimeField(auto_now_add=True, editable=False)

    class Meta:
        ordering = ["contract", "code"]
        constraints = [
            models.UniqueConstraint(
                name="subscription_code",
                fields=["contract", "code"],
                violation_error_message="This contract has a subscription of that code.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.contract} / {self.code}"


INTERVAL_SAID = ("subscription_id", "version_id", "quantity", "start", '"end"', "options", "recorded_at")


class SubscriptionInterval(models.Model):
    """What a subscription binds over `[start, end)`: a published plan version and a quantity.

    It follows from the changes that stand (`changes.fold`). Append-only: a change stamps the rows that it supersedes,
    once, and inserts their replacements.
    """

    subscription = models.ForeignKey(Subscription, models.PROTECT, related_name="intervals")
    version = models.ForeignKey(PlanVersion, models.PROTECT, related_name="intervals")
    quantity = models.DecimalField(
        max_digits=20, decimal_places=6, default=1, help_text="How many of each recurring fee, e.g. seats."
    )
    start = models.DateTimeField()
    end = models.DateTimeField(null=True)
    options = models.JSONField(default=dict, help_text="How the changes around it took effect, as they said.")
    recorded_at = models.DateTimeField()
    superseded_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["subscription", "start"]
        indexes = [
            models.Index(fields=["subscription", "start"], name="interval_current", condition=Q(superseded_at=None)),
            # who is on a version today, from the index alone
            models.Index(
                fields=["version"],
                include=["start", "end", "subscription"],
                name="interval_of_version",
                condition=Q(superseded_at=None),
            ),
        ]
        constraints = [
            ExclusionConstraint(
                name="interval_no_overlap",
                expressions=[
                    (int_range("subscription_id"), RangeOperators.OVERLAPS),
                    (Func("start", "end", function="tstzrange"), RangeOperators.OVERLAPS),
                ],
                condition=Q(superseded_at=None),
                violation_error_message="Two intervals of this subscription overlap.",
            ),
            models.CheckConstraint(name="interval_period", condition=Q(end__isnull=True) | Q(end__gt=F("start"))),
            models.CheckConstraint(name="interval_quantity", condition=Q(quantity__gte=0)),
        ]
        triggers = [
            *said_once("interval", stamp="superseded_at", said=INTERVAL_SAID),
            remembered(),
            *touching(OF_SUBSCRIPTION),
            pgtrigger.Trigger(
                name="interval_not_of_retired",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert,
                func=NOT_OF_RETIRED,
            ),
            pgtrigger.Trigger(
                name="interval_bound",
                when=pgtrigger.After,
                operation=pgtrigger.Insert,
                declare=[("buyer", "bigint"), ("clash", "text")],
                func=INTERVAL_BOUND,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.subscription}: {self.version} from {self.start:%Y-%m-%d}"
