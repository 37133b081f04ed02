"""What was conceded to customers, kept for ever."""

import pgtrigger
from django.db import models
from django.db.models import Q

from billing.catalog.agreements.facts import DatedFact, kept_triggers, said_constraints
from billing.invoicing.guards import REFUSE
from billing.invoicing.models import MONEY, InvoiceLine
from customers.marking import touching
from customers.models import Contract


class Way(models.TextChoices):
    """What becomes of a credit, once everything open that it credits is settled."""

    BALANCE = "balance", "The customer’s balance: the next invoices use it"
    REFUND = "refund", "Refunded to the customer"
    OUTSIDE = "outside", "Settled outside, e.g. set off in another system"


class Adjustment(DatedFact):
    """A credit of a line of an issued invoice: `amount` comes off it and has its sign, in the invoice's currency."""

    contract = models.ForeignKey(Contract, models.PROTECT, related_name="adjustments")
    line = models.ForeignKey(InvoiceLine, models.PROTECT, related_name="adjustments")
    amount = models.DecimalField(**MONEY)
    quantity = models.DecimalField(
        max_digits=40, decimal_places=12, null=True, help_text="The part of the line’s quantity that it is for."
    )
    way = models.CharField(max_length=10, choices=Way, default=Way.BALANCE, help_text="What is done with the rest.")

    class Meta:
        ordering = ["contract", "id"]
        indexes = [
            models.Index(fields=["contract"], name="adjustment_current", condition=Q(superseded_at=None)),
        ]
        constraints = [
            models.CheckConstraint(name="adjustment_something", condition=~Q(amount=0)),
            *said_constraints("adjustment"),
        ]
        triggers = [
            *kept_triggers("adjustment"),
            *touching("SELECT contract_id FROM rows"),
            # Whoever credits the same line at once waits here, and is refused what is not left.
            pgtrigger.Trigger(
                name="adjustment_capped",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert,
                declare=[("rest", "numeric"), ("taken", "numeric"), ("doc", "text")],
                func=f"""
                    PERFORM 1 FROM billing_invoiceline l WHERE l.id = NEW.line_id FOR UPDATE;
                    SELECT l.amount + coalesce((SELECT sum(c.amount) FROM billing_invoiceline c
                               JOIN billing_invoice d ON d.id = c.invoice_id WHERE c.corrects_id = l.id
                               AND l.kind = 'recurring' AND c.kind = 'recurring' AND d.state <> 'draft'), 0),
                           i.state || ' ' || i.kind
                        INTO rest, doc FROM billing_invoiceline l JOIN billing_invoice i ON i.id = l.invoice_id
                        WHERE l.id = NEW.line_id;
                    SELECT coalesce(sum(a.amount), 0) INTO taken FROM billing_adjustment a
                        WHERE a.line_id = NEW.line_id AND a.superseded_at IS NULL;
                    IF doc <> 'issued invoice' THEN
                        RAISE EXCEPTION 'only lines of issued invoices are credited' {REFUSE};
                    END IF;
                    IF NEW.amount * rest <= 0 OR abs(taken + NEW.amount) > abs(rest) THEN
                        RAISE EXCEPTION 'credits of line % exceed what it stands for', NEW.line_id {REFUSE};
                    END IF;
                    RETURN NEW;
                """,
            ),
        ]

    def __str__(self) -> str:
        return f"credit of {self.line}"
