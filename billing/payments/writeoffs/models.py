"""What a customer will not pay any more: it was billed, it was not collected. No record of billing changes."""

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import F, Q

from billing.invoicing.models import MONEY, Invoice
from billing.money import round_money
from billing.payments.guards import OPEN


class WriteOff(models.Model):
    """A part of an open invoice that is given up: asked for by one, booked by another, reversed when money comes."""

    class State(models.TextChoices):
        REQUESTED = "requested", "Waits for approval"
        BOOKED = "booked", "Written off"
        DECLINED = "declined", "Declined"
        REVERSED = "reversed", "Reversed"

    invoice = models.ForeignKey(Invoice, models.PROTECT, related_name="write_offs")
    amount = models.DecimalField(**MONEY)
    reason = models.CharField(max_length=200)
    state = models.CharField(max_length=10, choices=State, default=State.REQUESTED)
    four_eyes = models.BooleanField(help_text="Whether a second person had to approve, when it was asked for.")
    requested_at = models.DateTimeField()
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    decided_at = models.DateTimeField(null=True)
    decided_on = models.DateField(null=True, help_text="In the seller’s time zone: the day of the books.")
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    reversed_at = models.DateTimeField(null=True)
    reversed_on = models.DateField(null=True, help_text="In the seller’s time zone: the day of the books.")
    reversed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    reversal_reason = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["-id"]
        verbose_name = "write-off"
        permissions = [("approve_writeoff", "Can approve, decline and reverse write-offs")]
        constraints = [
            models.UniqueConstraint(
                name="writeoff_one_request", fields=["invoice"], condition=Q(state="requested"),
                violation_error_message="A write-off of this invoice waits already.",
            ),
            models.CheckConstraint(name="writeoff_positive", condition=Q(amount__gt=0)),
            models.CheckConstraint(name="writeoff_reason", condition=~Q(reason="")),
            models.CheckConstraint(
                name="writeoff_four_eyes",
                condition=Q(four_eyes=False) | Q(state__in=["requested", "declined"])
                | Q(requested_by__isnull=False, decided_by__isnull=False) & ~Q(requested_by=F("decided_by")),
            ),
            models.CheckConstraint(
                name="writeoff_decided",
                condition=Q(state="requested", decided_at__isnull=True)
                | ~Q(state="requested") & Q(decided_at__isnull=False, decided_on__isnull=False),
            ),
            models.CheckConstraint(
                name="writeoff_reversed",
                condition=Q(state="reversed", reversed_at__isnull=False, reversed_on__isnull=False)
                & ~Q(reversal_reason="")
                | ~Q(state="reversed") & Q(reversed_at__isnull=True),
            ),
        ]  # fmt: skip
        triggers = [
            pgtrigger.Protect(name="writeoff_kept", operation=pgtrigger.Delete),
            pgtrigger.ReadOnly(
                name="writeoff_asked",
                fields=["invoice", "amount", "reason", "four_eyes", "requested_at", "requested_by"],
            ),
            pgtrigger.FSM(
                name="writeoff_moves",
                field="state",
                transitions=[("requested", "booked"), ("requested", "declined"), ("booked", "reversed")],
            ),
            pgtrigger.Trigger(
                name="writeoff_fits",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert | pgtrigger.Update,
                declare=[("bill", "billing_invoice")],
                func=f"""
                    SELECT * INTO bill FROM billing_invoice WHERE id = NEW.invoice_id FOR UPDATE;
                    IF TG_OP = 'INSERT' AND NEW.state <> 'requested'
                       OR NEW.state IN ('requested', 'booked')
                          AND (bill.state <> 'issued' OR bill.kind <> 'invoice' OR NEW.amount > {OPEN}) THEN
                        RAISE EXCEPTION 'this write-off does not fit %', coalesce(bill.number, 'a draft')
                            USING ERRCODE = 'check_violation';
                    END IF;
                    RETURN NEW;
                """,
            ),
        ]

    def __str__(self) -> str:
        currency = self.invoice.currency
        return f"write-off of {currency} {round_money(self.amount, currency):,} on {self.invoice}"
