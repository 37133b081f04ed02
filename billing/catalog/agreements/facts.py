"""What every dated fact of a customer's agreements is: said once, ended or undone by a stamp, never edited."""

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import Q

from customers.knowledge import remembered

STAMP = ("superseded_at", "superseded_by_id", "superseded_reason")


class DatedFact(models.Model):
    """Append-only: ending or undoing one stamps its row, once; what remains of it is inserted as a new row."""

    reason = models.CharField(max_length=300)
    recorded_at = models.DateTimeField()
    recorded_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    replaces = models.ForeignKey("self", models.PROTECT, null=True, related_name="replaced_by")
    first = models.ForeignKey(
        "self", models.PROTECT, null=True, related_name="+", help_text="The row that said it first; none for that one."
    )
    superseded_at = models.DateTimeField(null=True)
    superseded_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    superseded_reason = models.CharField(max_length=300, blank=True)

    class Meta:
        abstract = True

    @property
    def identity(self) -> int:
        """Stays when it is ended on another day: what it did is known by it."""
        return self.first_id or self.pk  # type: ignore[attr-defined, no-any-return]


def said_constraints(name: str) -> list[models.CheckConstraint]:
    """Why it was said, and why it no longer stands."""
    return [
        models.CheckConstraint(name=f"{name}_reason", condition=~Q(reason="")),
        models.CheckConstraint(
            name=f"{name}_superseded",
            condition=Q(superseded_at=None, superseded_by=None, superseded_reason="")
            | Q(superseded_at__isnull=False) & ~Q(superseded_reason=""),
        ),
    ]


def kept_triggers(name: str) -> list[pgtrigger.Trigger]:
    """Nothing but the stamp that supersedes it ever changes, once; it is never deleted."""
    stamp = ", ".join(f"'{column}'" for column in STAMP)
    said = f"to_jsonb({{}}) - ARRAY[{stamp}]"
    return [
        pgtrigger.Protect(
            name=f"{name}_frozen",
            operation=pgtrigger.Update,
            condition=pgtrigger.Condition(
                f"OLD.superseded_at IS NOT NULL OR {said.format('OLD.*')} IS DISTINCT FROM {said.format('NEW.*')}"
            ),
        ),
        pgtrigger.Protect(name=f"{name}_kept", operation=pgtrigger.Delete),
        remembered(),
    ]
