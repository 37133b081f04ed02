"""How the documents of a legal entity look, and how customers are asked to pay."""

from django.db import models

from customers.validators import validate_bic, validate_colour, validate_iban


class Branding(models.Model):
    """The fields of it, which are copied onto every document at issue."""

    class Reference(models.TextChoices):
        NUMBER = "number", "Invoice number"
        CREDITOR = "creditor", "Creditor reference (ISO 11649) of the invoice number"

    colour = models.CharField(
        max_length=7,
        blank=True,
        validators=[validate_colour],
        help_text="Of titles and rules on documents, e.g. #0b5fff. Empty: black.",
    )
    legal_text = models.TextField(
        blank=True, help_text="Printed below the total of every document, e.g. terms of delivery or of late payment."
    )
    footer = models.TextField(
        blank=True, help_text="Printed at the foot of every page, two lines at most, e.g. register and directors."
    )
    iban = models.CharField(
        "IBAN", max_length=42, blank=True, validators=[validate_iban], help_text="Printed with the bank details."
    )
    bic = models.CharField("BIC", max_length=14, blank=True, validators=[validate_bic])
    reference = models.CharField(
        "payment reference",
        max_length=10,
        choices=Reference,
        default=Reference.NUMBER,
        help_text="What customers are asked to name when they pay.",
    )

    class Meta:
        abstract = True
