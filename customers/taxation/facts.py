"""What every dated fact about tax is: said once with who and why, taken back by a stamp, never edited."""

import pgtrigger
from django.conf import settings
from django.db import models

from customers.facts import said_once
from customers.knowledge import remembered


class TaxFact(models.Model):
    """Append-only. Of facts about the same thing the one that begins last is in force, until the next begins."""

    start = models.DateField("from", help_text="The first day on which it holds.")
    reason = models.CharField(max_length=300, help_text="Why; kept with it.")
    recorded_at = models.DateTimeField(editable=False)
    recorded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, editable=False, related_name="+"
    )
    undone_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        abstract = True


def kept(name: str, *said: str) -> list[pgtrigger.Trigger]:
    """Nothing but the stamp that takes it back ever changes, once; and what was known can be told later."""
    said = ("start", "reason", "recorded_at", "recorded_by_id", *said)
    return [*said_once(name, stamp="undone_at", said=said), remembered()]
