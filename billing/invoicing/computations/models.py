"""What lines were computed from: one row for each time that lines are computed and kept."""

import pgtrigger
from django.contrib.postgres.fields import ArrayField
from django.db import models

from billing.metering.asking import Known


class Computation(models.Model):
    """How much was known when lines were computed: facts up to its own number, and usage up to a position.

    The number is drawn under the locks of everyone concerned, from the numbers of `customers.knowledge`.
    """

    number = models.BigIntegerField(primary_key=True)
    position = models.BigIntegerField(help_text="Usage was known up to here.")
    pending = ArrayField(models.BigIntegerField(), help_text="Batches beyond the position that were known too.")
    made_at = models.DateTimeField()

    class Meta:
        triggers = [pgtrigger.Protect(name="computation_kept", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"computation {self.number}"

    @property
    def known(self) -> Known:
        """What was known of usage."""
        return Known(self.position, frozenset(self.pending))
