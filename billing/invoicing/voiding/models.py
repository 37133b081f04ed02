"""What is not billed again after its invoice was voided, kept for ever."""

from django.db import models
from django.db.models import Q

from billing.catalog.agreements.facts import DatedFact, kept_triggers, said_constraints
from billing.invoicing.models import InvoiceLine
from customers.marking import touching
from customers.models import Contract


class Waiver(DatedFact):
    """A line of a voided invoice that no later invoice bills: its amount of a slot, or its stretch of a fee."""

    contract = models.ForeignKey(Contract, models.PROTECT, related_name="waivers")
    line = models.ForeignKey(InvoiceLine, models.PROTECT, related_name="waivers")

    class Meta:
        ordering = ["contract", "id"]
        indexes = [models.Index(fields=["contract"], name="waiver_current", condition=Q(superseded_at=None))]
        constraints = [
            models.UniqueConstraint(name="waiver_once", fields=["line"], condition=Q(superseded_at=None)),
            *said_constraints("waiver"),
        ]
        triggers = [*kept_triggers("waiver"), *touching("SELECT contract_id FROM rows")]

    def __str__(self) -> str:
        return f"waiver of {self.line}"
