"""Renewals: that a contract goes on after its end, at which prices."""

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import F, Q

from customers.knowledge import remembered
from customers.marking import touching
from customers.models import Contract


class Renewal(models.Model):
    """A fact: a contract that was to end on `start` goes on until `end`, its prices raised by `uplift` percent."""

    contract = models.ForeignKey(Contract, models.PROTECT, related_name="renewals")
    start = models.DateField(help_text="The end that was agreed before: the first day of the new term.")
    end = models.DateField(null=True, help_text="The day after its last one; none for an open end.")
    uplift = models.DecimalField("uplift in percent", max_digits=6, decimal_places=3, default=0)
    automatic = models.BooleanField(default=False, help_text="As agreed in the contract, and by nobody.")
    recorded_at = models.DateTimeField()
    recorded_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")

    class Meta:
        ordering = ["contract", "start"]
        constraints = [
            models.UniqueConstraint(
                name="renewal_once",
                fields=["contract", "start"],
                violation_error_message="This contract was renewed on that day.",
            ),
            models.CheckConstraint(name="renewal_period", condition=Q(end__isnull=True) | Q(end__gt=F("start"))),
        ]
        triggers = [
            pgtrigger.Protect(name="renewal_kept", operation=pgtrigger.Update | pgtrigger.Delete),
            remembered(),
            *touching("SELECT contract_id FROM rows"),
        ]

    def __str__(self) -> str:
        return f"{self.contract} from {self.start} until {self.end or 'further notice'}"
