"""Money in: payments and their split over invoices."""

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import Q

from billing.invoicing.models import MONEY, Invoice
from billing.payments.guards import OPEN
from customers.models import Customer, LegalEntity


class Payment(models.Model):
    """Money that arrived: a fact, never edited."""

    customer = models.ForeignKey(Customer, models.PROTECT, related_name="payments")
    entity = models.ForeignKey(LegalEntity, models.PROTECT, related_name="payments", verbose_name="legal entity")
    reference = models.CharField(max_length=100, blank=True, help_text="As on the bank statement.")
    currency = models.CharField(max_length=3)
    amount = models.DecimalField(**MONEY)
    received_on = models.DateField()
    recorded_at = models.DateTimeField()
    recorded_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")

    class Meta:
        ordering = ["-received_on", "-id"]
        constraints = [models.CheckConstraint(name="payment_positive", condition=Q(amount__gt=0))]
        triggers = [pgtrigger.Protect(name="payment_kept", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.amount} {self.currency} on {self.received_on}"


class Allocation(models.Model):
    """The part of a payment that settles an invoice; never more than the invoice has open."""

    payment = models.ForeignKey(Payment, models.PROTECT, related_name="allocations")
    invoice = models.ForeignKey(Invoice, models.PROTECT, related_name="allocations")
    amount = models.DecimalField(**MONEY)

    class Meta:
        constraints = [
            models.CheckConstraint(name="allocation_positive", condition=Q(amount__gt=0)),
            models.UniqueConstraint(name="allocation_once", fields=["payment", "invoice"]),
        ]
        triggers = [
            pgtrigger.Protect(name="allocation_kept", operation=pgtrigger.Update | pgtrigger.Delete),
            pgtrigger.Trigger(
                name="allocation_fits",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert,
                declare=[("bill", "billing_invoice"), ("paid", "billing_payment"), ("open", "numeric")],
                func=f"""
                    -- The locks put two payments of one invoice, or two splits of one payment, one after the other.
                    SELECT * INTO paid FROM billing_payment WHERE id = NEW.payment_id FOR UPDATE;
                    SELECT * INTO bill FROM billing_invoice WHERE id = NEW.invoice_id FOR UPDATE;
                    open := {OPEN};
                    IF bill.state <> 'issued' OR (bill.currency, bill.entity_id) <> (paid.currency, paid.entity_id)
                       OR NEW.amount > open OR NEW.amount > paid.amount - (SELECT coalesce(sum(amount), 0)
                            FROM billing_allocation WHERE payment_id = NEW.payment_id) THEN
                        RAISE EXCEPTION 'this payment does not fit invoice %', bill.number
                            USING ERRCODE = 'check_violation';
                    END IF;
                    RETURN NEW;
                """,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.amount} of {self.payment} to {self.invoice}"
