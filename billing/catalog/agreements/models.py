"""What a contract as a whole has agreed: dated terms on its spending and off its invoices, kept for ever."""

from datetime import datetime

from django.db import models
from django.db.models import F, Q

from billing.catalog.agreements.facts import DatedFact, kept_triggers, said_constraints
from billing.catalog.agreements.states import AgreementKind
from billing.metering.exact_json import ExactDecoder, ExactEncoder
from customers.marking import touching
from customers.models import Contract


class ContractTerm(DatedFact):
    """A contract's own term over `[start, end)`: a minimum, a maximum, a commitment, a discount on its invoices."""

    contract = models.ForeignKey(Contract, models.PROTECT, related_name="terms")
    kind = models.CharField(max_length=20, choices=AgreementKind)
    value = models.JSONField(encoder=ExactEncoder, decoder=ExactDecoder, help_text="As in docs/terms.md.")
    start = models.DateTimeField()
    end = models.DateTimeField(null=True)
    ramp = models.UUIDField(null=True, help_text="The same for all steps of a ramp.")
    step = models.PositiveSmallIntegerField(null=True)
    steps = models.PositiveSmallIntegerField(null=True)

    agreed_end: datetime | None = None
    """The end that was agreed first, where it is read; not kept."""

    class Meta:
        ordering = ["contract", "start", "id"]
        verbose_name = "contract's own term"
        verbose_name_plural = "contracts' own terms"
        indexes = [
            models.Index(fields=["contract", "start"], name="contractterm_current", condition=Q(superseded_at=None)),
        ]
        constraints = [
            models.CheckConstraint(name="contractterm_period", condition=Q(end__isnull=True) | Q(end__gt=F("start"))),
            models.CheckConstraint(
                name="contractterm_step",
                condition=Q(ramp=None, step=None, steps=None)
                | Q(ramp__isnull=False, step__gte=1, steps__gte=F("step")),
            ),
            *said_constraints("contractterm"),
        ]
        triggers = [*kept_triggers("contractterm"), *touching("SELECT contract_id FROM rows")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of {self.contract} from {self.start:%Y-%m-%d}"
