"""What people add to drafts by hand, kept for ever: a run finds it as it finds every other fact."""

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import F, Q

from billing.catalog.agreements.facts import DatedFact, kept_triggers, said_constraints
from billing.invoicing.guards import REFUSE
from billing.invoicing.manual.states import ManualKind
from billing.invoicing.models import MONEY, Invoice, InvoiceLine, Stream
from customers.marking import touching
from customers.models import Contract, Customer, LegalEntity


class ManualLine(DatedFact):
    """A line, or a discount on a draft or on one of its lines, in the contract's currency; billed once.

    It stands on drafts as of `due_on` or later until it is billed. A line is an amount, or a quantity at a unit price;
    a discount an amount or a percentage, of what the draft bills of the contract, or of the line that `of_` names.
    """

    contract = models.ForeignKey(Contract, models.PROTECT, related_name="manual_lines")
    kind = models.CharField(max_length=10, choices=ManualKind)
    text = models.CharField(max_length=150, help_text="As printed.")
    due_on = models.DateField(help_text="It stands on drafts as of this day or later.")
    start = models.DateTimeField(help_text="Of the service; of a discount, of the day that it is due on.")
    end = models.DateTimeField()
    quantity = models.DecimalField(max_digits=24, decimal_places=6, null=True)
    unit = models.CharField(max_length=40, blank=True, help_text="In the singular, e.g. hour.")
    unit_price = models.DecimalField(max_digits=24, decimal_places=6, null=True)
    amount = models.DecimalField(**MONEY, null=True)
    percentage = models.DecimalField(max_digits=9, decimal_places=6, null=True)
    of_stream = models.ForeignKey(Stream, models.PROTECT, null=True, related_name="+")
    of_kind = models.CharField(max_length=10, choices=InvoiceLine.Kind, blank=True)
    of_start = models.DateTimeField(null=True, help_text="The start of service of the line that it is off.")

    class Meta:
        ordering = ["contract", "id"]
        indexes = [
            models.Index(fields=["contract"], name="manualline_current", condition=Q(superseded_at=None)),
        ]
        constraints = [
            models.CheckConstraint(name="manualline_period", condition=Q(end__gt=F("start"))),
            models.CheckConstraint(
                name="manualline_worth",
                condition=Q(kind="line", percentage=None)
                & (
                    Q(amount__isnull=False, quantity=None, unit_price=None)
                    | Q(amount=None, quantity__isnull=False, unit_price__isnull=False)
                )
                | Q(kind="discount", quantity=None, unit_price=None)
                & (Q(amount__gt=0, percentage=None) | Q(amount=None, percentage__gt=0, percentage__lte=100)),
            ),
            models.CheckConstraint(
                name="manualline_of_line",
                condition=Q(of_stream=None, of_kind="", of_start=None)
                | Q(kind="discount", of_stream__isnull=False, of_start__isnull=False) & ~Q(of_kind=""),
            ),
            *said_constraints("manualline"),
        ]
        triggers = [*kept_triggers("manualline"), *touching("SELECT contract_id FROM rows")]

    def __str__(self) -> str:
        return self.text


class InvoiceNote(models.Model):
    """A note on a document, printed or for colleagues alone; it changes no amount.

    It belongs to the draft at its place, however often that is drawn up anew; approval ties it to the invoice.
    """

    customer = models.ForeignKey(Customer, models.PROTECT, related_name="invoice_notes")
    entity = models.ForeignKey(LegalEntity, models.PROTECT, related_name="+")
    currency = models.CharField(max_length=3)
    group = models.CharField(max_length=60, blank=True)
    apart = models.BooleanField(default=False)
    invoice = models.ForeignKey(
        Invoice, models.PROTECT, null=True, related_name="notes", help_text="Once approved; none while it is a draft."
    )
    text = models.CharField(max_length=1000)
    printed = models.BooleanField(help_text="On the document; otherwise for colleagues alone.")
    recorded_at = models.DateTimeField()
    recorded_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    taken_back_at = models.DateTimeField(null=True)
    taken_back_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    taken_back_reason = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index(
                fields=["customer", "entity"], name="invoicenote_open", condition=Q(invoice=None, taken_back_at=None)
            ),
        ]
        constraints = [
            models.CheckConstraint(name="invoicenote_text", condition=~Q(text="")),
            models.CheckConstraint(
                name="invoicenote_taken_back",
                condition=Q(taken_back_at=None, taken_back_by=None, taken_back_reason="")
                | Q(taken_back_at__isnull=False) & ~Q(taken_back_reason=""),
            ),
        ]
        triggers = [
            pgtrigger.Protect(name="invoicenote_kept", operation=pgtrigger.Delete),
            pgtrigger.Protect(
                name="invoicenote_said",
                operation=pgtrigger.Update,
                condition=pgtrigger.Condition(
                    "OLD.taken_back_at IS NOT NULL OR (OLD.text, OLD.printed, OLD.recorded_at) IS DISTINCT FROM"
                    " (NEW.text, NEW.printed, NEW.recorded_at)"
                ),
            ),
            # What is printed on an issued document never changes.
            pgtrigger.Trigger(
                name="invoicenote_printed",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert | pgtrigger.Update,
                condition=pgtrigger.Condition("NEW.printed"),
                func=f"""
                    IF EXISTS (SELECT 1 FROM billing_invoice i WHERE i.state IN ('issued', 'skipped')
                               AND (i.id = NEW.invoice_id OR TG_OP = 'UPDATE' AND i.id = OLD.invoice_id)) THEN
                        RAISE EXCEPTION 'the printed notes of an issued invoice are frozen' {REFUSE};
                    END IF;
                    RETURN NEW;
                """,
            ),
        ]

    def __str__(self) -> str:
        return self.text
