"""Invoices and their lines, and what stands recorded: slots with revisions, and coverage."""

from collections.abc import Mapping
from typing import Any

import pgtrigger
from django.conf import settings
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import ArrayField, RangeOperators
from django.db import models
from django.db.models import F, Func, Q

from billing.catalog.models import Charge, ChargeCode, Subscription
from billing.invoicing.guards import COVERAGE_TRIGGERS, INVOICE_TRIGGERS, LINE_TRIGGERS
from billing.invoicing.runs.models import BillingRun as BillingRun
from billing.invoicing.runs.models import RunOutcome as RunOutcome
from billing.invoicing.slots import CONCESSION, MANUAL, OFF
from billing.invoicing.states import NUMBERED, InvoiceState
from billing.invoicing.terms import WHOLE, StreamKey, whole_of
from customers.models import Contract, Customer, LegalEntity, int_range

MONEY: dict[str, Any] = {"max_digits": 24, "decimal_places": 4}  # enough for every currency's minor unit (CLF has 4)


WRITTEN_AT_ISSUE = ("number", "sequence", "issue_date", "due_date", "issued_at", "seller", "buyer", "terms")


class NumberSeries(models.Model):
    """The last number given in a series of a legal entity: its row lock makes numbers gapless (R5.2)."""

    entity = models.ForeignKey(LegalEntity, models.PROTECT, related_name="series")
    name = models.CharField(max_length=20, default="invoice")
    last_number = models.PositiveIntegerField(default=0)
    last_date = models.DateField(null=True)

    class Meta:
        verbose_name_plural = "number series"
        constraints = [models.UniqueConstraint(name="series_once", fields=["entity", "name"])]

    def __str__(self) -> str:
        return f"{self.entity.code} {self.name}"


class Invoice(models.Model):
    """What a customer is asked for, or credited: draft (the current delta) → approved (frozen) → issued (a record)."""

    class Kind(models.TextChoices):
        INVOICE = "invoice", "Invoice"
        CREDIT_NOTE = "credit_note", "Credit note"

    kind = models.CharField(max_length=12, choices=Kind, default=Kind.INVOICE, help_text="A negative one is a credit.")
    number = models.CharField(max_length=40, null=True, unique=True)  # noqa: DJ001  unique once it is there
    sequence = models.PositiveIntegerField(null=True)

    customer = models.ForeignKey(Customer, models.PROTECT, related_name="invoices", help_text="Who pays.")
    contract = models.ForeignKey(
        Contract, models.PROTECT, null=True, related_name="invoices", help_text="Where all lines are of one."
    )
    group = models.CharField(max_length=60, blank=True, help_text="That of the contracts on it.")
    apart = models.BooleanField(default=False, help_text="Corrections alone, beside the regular invoice.")
    entity = models.ForeignKey(LegalEntity, models.PROTECT, related_name="invoices", verbose_name="legal entity")
    run = models.ForeignKey(BillingRun, models.SET_NULL, null=True, related_name="invoices")

    reverses = models.ForeignKey(
        "self", models.PROTECT, null=True, db_index=False, related_name="reversals", help_text="The invoice it voids."
    )
    reversal_reason = models.CharField(max_length=300, blank=True, help_text="Why that one was voided.")

    as_of = models.DateField(help_text="What fell due up to the start of this day stands on it.")
    issue_date = models.DateField(null=True)
    due_date = models.DateField(null=True)
    seller = models.JSONField(null=True, help_text="As it was at issue.")
    buyer = models.JSONField(null=True, help_text="As it was at issue.")
    terms = models.JSONField(null=True, help_text="As they were at issue.")

    currency = models.CharField(max_length=3)
    net = models.DecimalField(**MONEY, default=0)
    tax = models.DecimalField(**MONEY, default=0)
    total = models.DecimalField(**MONEY, default=0)

    known_position = models.BigIntegerField(null=True, help_text="The position through which usage was known then.")
    known_pending = ArrayField(
        models.BigIntegerField(), null=True, help_text="Batches beyond that position that were known then."
    )
    approved_known = models.BigIntegerField(null=True, help_text="Drawn at approval: what comes later knows it.")

    state = models.CharField(max_length=10, choices=InvoiceState, default=InvoiceState.DRAFT)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField(help_text="When the lines last changed.")
    approved_at = models.DateTimeField(null=True)
    approved_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    issued_at = models.DateTimeField(null=True)
    issued_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    returned_reason = models.TextField(blank=True, help_text="Why it was last sent back to draft.")

    class Meta:
        ordering = ["-id"]
        permissions = [
            ("approve_invoice", "Can approve invoices and send them back"),
            ("issue_invoice", "Can issue and send invoices"),
        ]
        indexes = [
            models.Index(fields=["state", "-id"], name="invoice_queue"),  # the review queue
            models.Index(fields=["issue_date"], name="invoice_issue_date"),
        ]
        constraints = [
            models.UniqueConstraint(
                name="invoice_one_draft",
                fields=["customer", "group", "entity", "currency", "apart"],
                condition=Q(state="draft", reverses=None),
            ),
            models.UniqueConstraint(name="invoice_reversed_once", fields=["reverses"], condition=~Q(reverses=None)),
            models.CheckConstraint(
                name="invoice_reversal_reason",
                condition=Q(reverses=None, reversal_reason="") | Q(reverses__isnull=False) & ~Q(reversal_reason=""),
            ),
            models.UniqueConstraint(name="invoice_sequence", fields=["entity", "kind", "sequence"]),
            models.CheckConstraint(name="invoice_adds_up", condition=Q(total=F("net") + F("tax"))),
            models.CheckConstraint(
                name="invoice_sign",
                condition=Q(kind="invoice", total__gte=0) | Q(kind="credit_note", total__lt=0) | Q(state="draft"),
            ),
            models.CheckConstraint(
                name="invoice_numbered_when_issued",
                condition=Q(state__in=NUMBERED, **{f"{name}__isnull": False for name in WRITTEN_AT_ISSUE})
                | ~Q(state__in=NUMBERED) & Q(number__isnull=True, sequence__isnull=True, issue_date__isnull=True),
            ),
            models.CheckConstraint(
                name="invoice_approved_when", condition=Q(state="draft") ^ Q(approved_at__isnull=False)
            ),
        ]
        triggers = INVOICE_TRIGGERS

    def __str__(self) -> str:
        kind = "" if self.kind == self.Kind.INVOICE else f" {self.get_kind_display().lower()}"
        return self.number or f"{self.get_state_display().lower()}{kind} {self.pk}"


class Stream(models.Model):
    """(subscription, charge code): what slots and coverage hang on, whatever version or plan the charge comes from."""

    contract = models.ForeignKey(Contract, models.PROTECT, related_name="streams")
    subscription = models.ForeignKey(
        Subscription, models.PROTECT, null=True, related_name="streams", help_text="None for the contract as a whole."
    )
    charge_code = models.ForeignKey(
        ChargeCode, models.PROTECT, null=True, related_name="streams", help_text="None for the subscription as a whole."
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(name="stream_once", fields=["subscription", "charge_code"]),
            models.UniqueConstraint(
                name="stream_of_whole", fields=["subscription"], condition=Q(charge_code__isnull=True)
            ),
            models.UniqueConstraint(
                name="stream_of_contract", fields=["contract"], condition=Q(subscription__isnull=True)
            ),
            models.CheckConstraint(
                name="stream_charge_of_subscription",
                condition=Q(subscription__isnull=False) | Q(charge_code__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.subscription or self.contract} · {self.charge_code or 'all charges'}"

    @property
    def key(self) -> StreamKey:
        """As the rules know it."""
        return self.subscription_id or whole_of(self.contract_id), self.charge_code_id or WHOLE


class Slot(models.Model):
    """What an amount is billed for, once: a stream, a kind, dimension values, and the cycle or the occurrence."""

    class Kind(models.TextChoices):
        USAGE = "usage", "Usage"
        MINIMUM = "minimum", "Minimum"
        MAXIMUM = "maximum", "Maximum"
        TRUE_UP = "true_up", "True-up"
        OVERAGE = "overage", "Overage"
        COUPON = "coupon", "Coupon"
        DISCOUNT = "discount", "Discount"
        ONE_OFF = "one_off", "One-off"

    stream = models.ForeignKey(Stream, models.PROTECT, related_name="slots")
    kind = models.CharField(max_length=10, choices=Kind)
    dimensions = models.JSONField(default=dict)
    cycle_start = models.DateTimeField(null=True)
    cycle_end = models.DateTimeField(null=True)
    occurrence = models.CharField(max_length=60, default="", blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="slot_of_cycle",
                fields=["stream", "kind", "dimensions", "cycle_start", "cycle_end"],
                condition=Q(cycle_start__isnull=False),
            ),
            models.UniqueConstraint(
                name="slot_of_occurrence",
                fields=["stream", "kind", "dimensions", "occurrence"],
                condition=Q(cycle_start__isnull=True),
            ),
            models.CheckConstraint(
                name="slot_cycle_or_occurrence",
                condition=Q(cycle_start__isnull=False, cycle_end__gt=F("cycle_start"), occurrence="")
                | Q(cycle_start__isnull=True, cycle_end__isnull=True) & ~Q(occurrence=""),
            ),
        ]
        triggers = [pgtrigger.Protect(name="slot_kept", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"slot {self.pk}"

    @property
    def about(self) -> str:
        """The agreement on spending, the coupon, the discount or the manual line that it is about; "" for a charge."""
        return self.about_of(self.dimensions)

    @staticmethod
    def about_of(dimensions: Mapping[str, str]) -> str:
        """`about` of a slot with these dimension values."""
        for kind in (OFF | {MANUAL, CONCESSION}) & dimensions.keys():
            return f"{kind} {dimensions[kind]}"
        return str(dimensions.get("spend", ""))

    @staticmethod
    def dimensions_about(kind: str, about: str) -> dict[str, str]:
        """The dimension values of a slot of a kind about an agreement: of a coupon, {"coupon": "7"}."""
        if kind in OFF:
            return {kind: about.removeprefix(f"{kind} ")}
        for by_hand in (MANUAL, CONCESSION):
            if about.startswith(f"{by_hand} "):
                return {by_hand: about.removeprefix(f"{by_hand} ")}
        return {"spend": about} if about else {}


class InvoiceLine(models.Model):
    """A billed item: a stretch of a recurring fee, a credit of one, or the delta of a slot, with the steps to it."""

    class Kind(models.TextChoices):
        RECURRING = "recurring", "Recurring fee"
        USAGE = "usage", "Usage"
        MINIMUM = "minimum", "Minimum"
        MAXIMUM = "maximum", "Maximum"
        TRUE_UP = "true_up", "True-up"
        OVERAGE = "overage", "Overage"
        COUPON = "coupon", "Coupon"
        DISCOUNT = "discount", "Discount"
        ONE_OFF = "one_off", "One-off"

    invoice = models.ForeignKey(Invoice, models.CASCADE, db_index=False, related_name="lines")  # line_position has it
    position = models.PositiveIntegerField()
    stream = models.ForeignKey(Stream, models.PROTECT, related_name="lines")
    kind = models.CharField(max_length=10, choices=Kind)
    charge = models.ForeignKey(
        Charge, models.PROTECT, null=True, related_name="lines",
        help_text="The price that made it; none for what is agreed for several charges together.",
    )  # fmt: skip
    corrects = models.ForeignKey(
        "self",
        models.PROTECT,
        null=True,
        db_index=False,  # line_corrects has those that do: with all others in it the planner reads them first
        related_name="corrections",
        help_text="The earlier line that it adjusts or credits.",
    )

    description = models.CharField(max_length=200)
    service_start = models.DateTimeField()
    service_end = models.DateTimeField()
    terms = models.JSONField(null=True, help_text="Of a fee: amount a full period, cadence, quantity, discounts.")
    fraction = models.CharField(max_length=60, blank=True, help_text="Of a fee: the share of the full period.")
    quantity = models.DecimalField(max_digits=40, decimal_places=12, null=True)
    unit = models.CharField(max_length=40, blank=True)
    steps = models.JSONField(default=list, help_text="How the amount came about, in order.")
    engine = models.CharField(max_length=20, help_text="Version of the rules that computed it.")
    known = models.BigIntegerField(null=True, help_text="The number of the computation that made it.")

    slot = models.ForeignKey(  # line_slot_revision is its index
        Slot, models.PROTECT, null=True, db_index=False, related_name="lines"
    )
    revision = models.PositiveIntegerField(null=True, help_text="Written at approval.")
    billed_before = models.DecimalField(**MONEY, null=True)
    desired = models.DecimalField(**MONEY, null=True)
    amount = models.DecimalField(**MONEY)
    taxes = models.JSONField(default=list, help_text="Which taxes it bears, with the amount of each.")
    tax = models.DecimalField(**MONEY, default=0, help_text="The sum of them.")
    tax_included = models.DecimalField(
        **MONEY, null=True, help_text="Of a price with tax: the tax in all that is wanted of it."
    )
    late = models.JSONField(null=True, help_text="Of an adjustment: events that came late, or were taken back.")

    class Meta:
        ordering = ["invoice", "position"]
        indexes = [models.Index(fields=["corrects"], name="line_corrects", condition=Q(corrects__isnull=False))]
        constraints = [
            models.UniqueConstraint(name="line_position", fields=["invoice", "position"]),
            models.UniqueConstraint(name="line_slot_revision", fields=["slot", "revision"]),
            models.CheckConstraint(
                name="line_fee_or_slot",
                condition=Q(
                    kind="recurring",
                    slot__isnull=True,
                    revision__isnull=True,
                    terms__isnull=False,
                    desired__isnull=True,
                    billed_before__isnull=True,
                )
                | ~Q(kind="recurring")
                & Q(
                    slot__isnull=False,
                    desired__isnull=False,
                    billed_before__isnull=False,
                    amount=F("desired") - F("billed_before"),
                ),
            ),
            models.CheckConstraint(
                name="line_charge", condition=Q(charge__isnull=False) | ~Q(kind__in=["recurring", "usage"])
            ),
            models.CheckConstraint(name="line_service", condition=Q(service_end__gt=F("service_start"))),
        ]
        triggers = LINE_TRIGGERS

    def __str__(self) -> str:
        return self.description


class Coverage(models.Model):
    """What stretch of a recurring fee is billed. No instant of a stream is covered twice while not credited."""

    stream = models.ForeignKey(Stream, models.PROTECT, related_name="coverage")
    line = models.ForeignKey(InvoiceLine, models.PROTECT, related_name="coverage")
    start = models.DateTimeField()
    end = models.DateTimeField()
    credited_by = models.ForeignKey(InvoiceLine, models.PROTECT, null=True, related_name="credited_coverage")

    class Meta:
        constraints = [
            ExclusionConstraint(
                name="coverage_once",
                expressions=[
                    (int_range("stream_id"), RangeOperators.OVERLAPS),
                    (Func("start", "end", function="tstzrange"), RangeOperators.OVERLAPS),
                ],
                condition=Q(credited_by=None),
            ),
            models.CheckConstraint(name="coverage_period", condition=Q(end__gt=F("start"))),
        ]
        triggers = COVERAGE_TRIGGERS

    def __str__(self) -> str:
        return f"{self.stream}: {self.start:%Y-%m-%d} to {self.end:%Y-%m-%d}"


class InvoiceDocument(models.Model):
    """A rendered file of an issued invoice, kept as it was sent."""

    invoice = models.OneToOneField(Invoice, models.PROTECT, related_name="document")
    file = models.FileField(upload_to="invoices/%Y/%m/")
    sha256 = models.CharField(max_length=64)
    pages = models.PositiveSmallIntegerField()
    rendered_at = models.DateTimeField()

    class Meta:
        triggers = [pgtrigger.Protect(name="document_kept", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return str(self.file)


class Outbox(models.Model):
    """What the books must hear of, written in the transaction that made it so; revenue takes it from here."""

    class Kind(models.TextChoices):
        INVOICE_ISSUED = "invoice_issued", "Invoice issued"
        PAYMENT_RECORDED = "payment_recorded", "Payment recorded"
        BALANCE_MOVED = "balance_moved", "Customer balance moved"
        WRITE_OFF_BOOKED = "write_off_booked", "Write-off booked"
        WRITE_OFF_REVERSED = "write_off_reversed", "Write-off reversed"

    kind = models.CharField(max_length=20, choices=Kind)
    object_id = models.BigIntegerField()
    created_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "outbox"
        constraints = [models.UniqueConstraint(name="outbox_once", fields=["kind", "object_id"])]
        triggers = [pgtrigger.Protect(name="outbox_kept", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.kind} {self.object_id}"
