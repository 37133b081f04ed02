"""What a seller owes a customer: an account for each currency, with a ledger that is only added to (R5.4)."""

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import Q

from billing.invoicing.models import MONEY, Invoice
from billing.payments.guards import OPEN
from billing.payments.models import Payment
from customers.models import Customer, LegalEntity

KEPT = pgtrigger.Update | pgtrigger.Delete


class BalanceAccount(models.Model):
    """The balance of a customer with a legal entity in a currency: the sum of its entries, never below zero."""

    customer = models.ForeignKey(Customer, models.PROTECT, related_name="balances")
    entity = models.ForeignKey(LegalEntity, models.PROTECT, related_name="balances", verbose_name="legal entity")
    currency = models.CharField(max_length=3)

    class Meta:
        ordering = ["customer__legal_name", "id"]
        verbose_name = "customer balance"
        permissions = [("settle_balanceaccount", "Can apply, refund and settle customer balances")]
        constraints = [models.UniqueConstraint(name="balance_once", fields=["customer", "entity", "currency"])]
        triggers = [pgtrigger.Protect(name="balance_kept", operation=KEPT)]

    def __str__(self) -> str:
        return f"{self.customer}, {self.currency} with {self.entity.code}"


class BalanceEntry(models.Model):
    """A movement of a balance: more for the customer when positive. `number` and `balance` are the database's."""

    class Kind(models.TextChoices):
        CREDIT_NOTE = "credit_note", "Credit note"
        OVERPAYMENT = "overpayment", "Paid too much"
        APPLIED = "applied", "Used for an invoice"
        REFUND = "refund", "Refunded"
        OUTSIDE = "outside", "Settled outside"

    account = models.ForeignKey(BalanceAccount, models.PROTECT, related_name="entries")
    number = models.PositiveIntegerField(default=0, help_text="From 1, without a gap, in the account.")
    kind = models.CharField(max_length=12, choices=Kind)
    amount = models.DecimalField(**MONEY)
    balance = models.DecimalField(**MONEY, default=0, help_text="Of the account, once this entry counts.")
    invoice = models.ForeignKey(
        Invoice, models.PROTECT, null=True, related_name="balance_entries",
        help_text="The credit note, or the invoice that it was used for.",
    )  # fmt: skip
    payment = models.ForeignKey(Payment, models.PROTECT, null=True, related_name="balance_entries")
    day = models.DateField(help_text="In the seller’s time zone.")
    reason = models.CharField(max_length=200, blank=True, help_text="Why, or how it was settled.")
    recorded_at = models.DateTimeField()
    recorded_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")

    class Meta:
        ordering = ["account", "number"]
        verbose_name_plural = "balance entries"
        constraints = [
            models.UniqueConstraint(name="balance_entry_number", fields=["account", "number"]),
            models.UniqueConstraint(name="balance_note_once", fields=["invoice"], condition=Q(kind="credit_note")),
            models.UniqueConstraint(name="balance_payment_once", fields=["payment"]),
            models.CheckConstraint(name="balance_not_negative", condition=Q(balance__gte=0)),
            models.CheckConstraint(
                name="balance_entry_of",
                condition=Q(kind="credit_note", amount__gt=0, invoice__isnull=False, payment__isnull=True)
                | Q(kind="overpayment", amount__gt=0, invoice__isnull=True, payment__isnull=False)
                | Q(kind="applied", amount__lt=0, invoice__isnull=False, payment__isnull=True)
                | Q(kind__in=["refund", "outside"], amount__lt=0, invoice__isnull=True, payment__isnull=True)
                & ~Q(reason=""),
            ),
        ]
        triggers = [
            pgtrigger.Protect(name="balance_entry_kept", operation=KEPT),
            pgtrigger.Trigger(
                name="balance_entry_fits",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert,
                declare=[("at", "billing_balanceaccount"), ("bill", "billing_invoice"), ("paid", "billing_payment")],
                func=f"""
                    -- The account's row lock puts entries one after the other: each stands on the one before.
                    SELECT * INTO at FROM billing_balanceaccount WHERE id = NEW.account_id FOR UPDATE;
                    SELECT coalesce(max(number), 0) + 1, coalesce(sum(amount), 0) + NEW.amount
                        INTO NEW.number, NEW.balance FROM billing_balanceentry WHERE account_id = at.id;
                    IF NEW.payment_id IS NOT NULL THEN
                        SELECT * INTO paid FROM billing_payment WHERE id = NEW.payment_id;
                        IF (paid.customer_id, paid.entity_id, paid.currency)
                               <> (at.customer_id, at.entity_id, at.currency)
                           OR NEW.amount <> paid.amount - (SELECT coalesce(sum(amount), 0) FROM billing_allocation
                                                           WHERE payment_id = paid.id) THEN
                            RAISE EXCEPTION 'this entry is not the rest of payment %', paid.id
                                USING ERRCODE = 'check_violation';
                        END IF;
                    END IF;
                    IF NEW.invoice_id IS NOT NULL THEN
                        SELECT * INTO bill FROM billing_invoice WHERE id = NEW.invoice_id FOR UPDATE;
                        IF bill.number IS NULL OR (bill.kind = 'credit_note') <> (NEW.kind = 'credit_note')
                           OR (bill.customer_id, bill.entity_id, bill.currency)
                               <> (at.customer_id, at.entity_id, at.currency)
                           OR NEW.kind = 'credit_note' AND NEW.amount <> -bill.total
                           OR NEW.kind = 'applied' AND -NEW.amount > {OPEN} THEN
                            RAISE EXCEPTION 'this entry of a balance does not fit %', coalesce(bill.number, 'a draft')
                                USING ERRCODE = 'check_violation';
                        END IF;
                    END IF;
                    RETURN NEW;
                """,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.amount}"
