"""How a legal entity taxes what it sells, and how a customer is to be taxed: dated facts."""

from django.db import models
from django.db.models import Q

from customers.marking import touching
from customers.taxation.facts import TaxFact, kept

__all__ = ["TaxSetup", "TaxTreatment"]


class TaxSetup(TaxFact):
    """From which day on a legal entity computes tax, by which provider, and how. Without one it computes none."""

    class Rounding(models.TextChoices):
        DOCUMENT = "document", "Once per document and rate"
        LINE = "line", "On each line"

    class Point(models.TextChoices):
        SERVICE_END = "service_end", "The last day of its service"
        SERVICE_START = "service_start", "The first day of its service"

    entity = models.ForeignKey(
        "customers.LegalEntity", models.PROTECT, related_name="tax_setups", verbose_name="legal entity"
    )
    provider = models.CharField(
        max_length=40, blank=True, help_text="Who tells the rates: “table” is the table of rates. Empty: no tax."
    )
    rounding = models.CharField(max_length=10, choices=Rounding, default=Rounding.DOCUMENT)
    point = models.CharField(
        "rate of a line", max_length=15, choices=Point, default=Point.SERVICE_END,
        help_text="On which day the rate of a line is looked up.",
    )  # fmt: skip

    class Meta:
        ordering = ["entity", "start", "id"]
        constraints = [
            models.UniqueConstraint(name="taxsetup_of_day", fields=["entity", "start"], condition=Q(undone_at=None)),
            models.CheckConstraint(name="taxsetup_reason", condition=~Q(reason="")),
        ]
        triggers = [
            *kept("taxsetup", "entity_id", "provider", "rounding", "point"),
            *touching(
                "SELECT k.id FROM rows r JOIN customers_contract k ON k.entity_id = r.entity_id",
                operations=("insert", "update"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider or 'no tax'} from {self.start}"


class TaxTreatment(TaxFact):
    """How a customer that pays is taxed from a day on, by one seller or by all: where, or why not."""

    class Treatment(models.TextChoices):
        STANDARD = "standard", "Taxed"
        EXEMPT = "exempt", "Exempt"
        REVERSE_CHARGE = "reverse_charge", "Reverse charge"

    customer = models.ForeignKey("customers.Customer", models.PROTECT, related_name="tax_treatments")
    entity = models.ForeignKey(
        "customers.LegalEntity", models.PROTECT, null=True, blank=True, related_name="+", verbose_name="legal entity",
        help_text="Empty: whoever sells.",
    )  # fmt: skip
    treatment = models.CharField(max_length=15, choices=Treatment, default=Treatment.STANDARD)
    country = models.CharField(
        max_length=2, blank=True, help_text="Where it is taxed: ISO 3166 code, e.g. CA. Empty: the seller's country."
    )
    region = models.CharField(max_length=20, blank=True, help_text="As the table of rates has it, e.g. QC.")
    note = models.CharField(
        "text to print", max_length=300, blank=True, help_text="What the law wants on the invoice; needed without tax."
    )

    class Meta:
        ordering = ["customer", "start", "id"]
        constraints = [
            models.UniqueConstraint(
                name="taxtreatment_of_day", fields=["customer", "start"], condition=Q(undone_at=None, entity=None)
            ),
            models.UniqueConstraint(
                name="taxtreatment_of_entity", fields=["customer", "entity", "start"], condition=Q(undone_at=None)
            ),
            models.CheckConstraint(name="taxtreatment_reason", condition=~Q(reason="")),
            models.CheckConstraint(
                name="taxtreatment_note",
                condition=Q(treatment="standard", note="") | ~Q(treatment="standard") & ~Q(note=""),
                violation_error_message="What is not taxed needs the text that must be printed; what is taxed, none.",
            ),
        ]
        triggers = [
            *kept("taxtreatment", "customer_id", "entity_id", "treatment", "country", "region", "note"),
            *touching(
                "SELECT k.id FROM rows r JOIN customers_contract k ON k.customer_id = r.customer_id"
                " OR k.customer_id IN (SELECT p.customer_id FROM customers_payer p WHERE p.payer_id = r.customer_id)",
                operations=("insert", "update"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_treatment_display()} from {self.start}"
