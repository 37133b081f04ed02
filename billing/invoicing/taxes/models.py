"""Tax rates and tax codes of products as dated facts, and the taxes of each document."""

from typing import Any

import pgtrigger
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q

from billing.catalog.models import Product
from customers.marking import EVERYBODY, touching
from customers.models import CODE, TaxTreatment
from customers.taxation.facts import TaxFact, kept

__all__ = ["InvoiceTax", "ProductTax", "TaxRate"]

MONEY: dict[str, Any] = {"max_digits": 24, "decimal_places": 4}
FACTS = ("insert", "update")


class TaxRate(TaxFact):
    """A rate of the built-in table, from a day on. A later row of the same code takes its place."""

    code = models.CharField(max_length=40, validators=[CODE], help_text="Lasting name, e.g. de-vat.")
    name = models.CharField(max_length=60, help_text="As printed, e.g. VAT.")
    country = models.CharField(max_length=2, help_text="ISO 3166 code, e.g. DE.")
    region = models.CharField(max_length=20, blank=True, help_text="Empty: everywhere in the country.")
    category = models.CharField(
        "tax code", max_length=40, blank=True, help_text="Of charges and products. Empty: for those that have none."
    )
    percentage = models.DecimalField(
        max_digits=9, decimal_places=6, validators=[MinValueValidator(0), MaxValueValidator(100)]
    )
    compound = models.BooleanField(default=False, help_text="On the net and the taxes before it.")
    end = models.DateField("until", null=True, blank=True, help_text="The day after the last. Empty: open.")
    position = models.PositiveSmallIntegerField(default=0, help_text="Order among several taxes of a line.")

    class Meta:
        ordering = ["country", "region", "code", "start", "id"]
        constraints = [
            models.UniqueConstraint(name="taxrate_of_day", fields=["code", "start"], condition=Q(undone_at=None)),
            models.CheckConstraint(name="taxrate_reason", condition=~Q(reason="")),
            models.CheckConstraint(name="taxrate_percentage", condition=Q(percentage__gte=0, percentage__lte=100)),
            models.CheckConstraint(
                name="taxrate_period",
                condition=Q(end=None) | Q(end__gt=F("start")),
                violation_error_message="A rate ends after it begins.",
            ),
        ]
        triggers = [
            *kept(
                "taxrate", "code", "name", "country", "region", "category", "percentage", "compound", '"end"',
                "position",
            ),
            *touching(EVERYBODY, operations=FACTS),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.name} {self.percentage.normalize():f} % from {self.start}"


class ProductTax(TaxFact):
    """The tax code of a product from a day on, for charges that have none of their own."""

    product = models.ForeignKey(Product, models.PROTECT, related_name="tax_codes")
    category = models.CharField("tax code", max_length=40, blank=True, help_text="Empty: what is ordinary.")

    class Meta:
        ordering = ["product", "start", "id"]
        verbose_name = "tax code of a product"
        verbose_name_plural = "tax codes of products"
        constraints = [
            models.UniqueConstraint(name="producttax_of_day", fields=["product", "start"], condition=Q(undone_at=None)),
            models.CheckConstraint(name="producttax_reason", condition=~Q(reason="")),
        ]
        triggers = [*kept("producttax", "product_id", "category"), *touching(EVERYBODY, operations=FACTS)]

    def __str__(self) -> str:
        return f"{self.product}: {self.category or 'ordinary'} from {self.start}"


class InvoiceTax(models.Model):
    """What a document bears of one tax: the net that is taxed and the tax, both Σ of its lines (R5.6)."""

    invoice = models.ForeignKey("billing.Invoice", models.CASCADE, db_index=False, related_name="taxes")
    position = models.PositiveSmallIntegerField()
    code = models.CharField(max_length=40)
    name = models.CharField(max_length=60)
    percentage = models.DecimalField(max_digits=9, decimal_places=6)
    compound = models.BooleanField(default=False)
    treatment = models.CharField(max_length=15, choices=TaxTreatment.Treatment)
    note = models.CharField(max_length=300, blank=True)
    net = models.DecimalField(**MONEY)
    tax = models.DecimalField(**MONEY)

    class Meta:
        ordering = ["invoice", "position"]
        verbose_name_plural = "taxes of invoices"
        constraints = [
            models.UniqueConstraint(name="invoicetax_position", fields=["invoice", "position"]),
            models.CheckConstraint(name="invoicetax_untaxed", condition=Q(treatment="standard") | Q(tax=0)),
        ]
        triggers = [
            pgtrigger.Trigger(
                name="taxes_of_draft",
                level=pgtrigger.Row,
                when=pgtrigger.Before,
                operation=pgtrigger.Insert | pgtrigger.Update | pgtrigger.Delete,
                func="""
                    IF EXISTS (SELECT 1 FROM billing_invoice i
                               WHERE i.id IN (NEW.invoice_id, OLD.invoice_id) AND i.state <> 'draft') THEN
                        RAISE EXCEPTION 'the taxes of an approved or issued invoice are frozen'
                            USING ERRCODE = 'check_violation';
                    END IF;
                    IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
                    RETURN NEW;
                """,
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.percentage.normalize():f} %"
