"""Custom units (R3), and their dated worth in each currency."""

import pgtrigger
from django.conf import settings
from django.core.validators import MaxValueValidator, RegexValidator
from django.db import models
from django.db.models import Q

from customers.knowledge import remembered
from customers.marking import EVERYBODY, touching
from customers.validators import validate_currency


class CustomUnit(models.Model):
    """A unit of the company's own that prices may be said in, such as credits, with its own precision."""

    code = models.SlugField(
        max_length=40,
        unique=True,
        validators=[RegexValidator(r"^[a-z0-9][a-z0-9_-]*$", "Use small letters, digits, “-” and “_”, e.g. credits.")],
        help_text="As in prices, in the plural, e.g. credits.",
    )
    name = models.CharField(max_length=60, help_text="As printed, in the plural, e.g. Credits.")
    places = models.PositiveSmallIntegerField(
        default=2,
        validators=[MaxValueValidator(12)],
        help_text="Decimal places to which amounts in the unit are rounded, before they become money.",
    )

    class Meta:
        ordering = ["code"]
        constraints = [
            models.CheckConstraint(
                name="customunit_places",
                condition=Q(places__lte=12),
                violation_error_message="A unit has at most 12 decimal places.",
            ),
        ]
        triggers = [
            # Published prices name the unit with its places: another precision would be another amount.
            pgtrigger.Protect(
                name="unit_frozen",
                operation=pgtrigger.Update,
                condition=pgtrigger.Condition("OLD.code <> NEW.code OR OLD.places <> NEW.places"),
            ),
        ]

    def __str__(self) -> str:
        return self.name


class ConversionRate(models.Model):
    """What one custom unit is worth in a currency, from a day on. Append-only: a new rate has a day of its own."""

    unit = models.ForeignKey(CustomUnit, models.PROTECT, related_name="rates")
    currency = models.CharField(max_length=3, validators=[validate_currency])
    rate = models.DecimalField(max_digits=24, decimal_places=12, help_text="Of the currency for one unit, e.g. 0.01.")
    valid_from = models.DateField(
        help_text="First day with this rate, in each contract's time zone; it holds until the next one."
    )
    created_at = models.DateTimeField(auto_now_add=True, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, editable=False, related_name="+"
    )

    class Meta:
        ordering = ["unit", "currency", "-valid_from"]
        constraints = [
            models.UniqueConstraint(
                name="conversionrate_day",
                fields=["unit", "currency", "valid_from"],
                violation_error_message="This unit has a rate in that currency from that day: choose another day.",
            ),
            models.CheckConstraint(
                name="conversionrate_positive",
                condition=Q(rate__gt=0),
                violation_error_message="A unit is worth more than 0.",
            ),
        ]
        triggers = [
            pgtrigger.Protect(name="conversionrate_frozen", operation=pgtrigger.Update | pgtrigger.Delete),
            remembered(),
            *touching(EVERYBODY),
        ]

    def __str__(self) -> str:
        return f"{self.unit} in {self.currency} from {self.valid_from}"
