"""How dated facts of agreements are written: a reason, a stamp once, a row in the place of one that was ended."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db.models import Model

from billing.catalog.agreements.facts import DatedFact
from billing.catalog.terms.errors import TermsError


def said(rows: Sequence[DatedFact], *, reason: str, user: AbstractBaseUser | None, now: datetime) -> None:
    """Insert rows with who said them, when and why; TermsError without a reason."""
    why = checked(reason)
    for row in rows:
        row.reason, row.recorded_by, row.recorded_at = why, user, now  # type: ignore[assignment]
        row.save(force_insert=True)


def superseded(rows: Sequence[Model], *, reason: str, user: AbstractBaseUser | None, now: datetime) -> None:
    """Stamp rows of one table, each once; who comes second is told."""
    current = type(rows[0])._default_manager.filter(pk__in=[row.pk for row in rows], superseded_at=None)
    stamped = current.update(superseded_at=now, superseded_by=user, superseded_reason=checked(reason))
    if stamped < len(rows):
        raise TermsError("This was changed meanwhile: look at what is agreed again.")


def ended(row: Any, end: Any, kept: Sequence[str]) -> Any:
    """A row in the place of another, with another end and the identity of the first."""
    return type(row)(replaces=row, first_id=row.identity, end=end, **{name: getattr(row, name) for name in kept})


def checked(reason: str) -> str:
    """The reason without blanks around it; TermsError for none, or for one that is too long."""
    reason = reason.strip()
    if not reason:
        raise TermsError("Say why: whoever reads these terms in a year will want to know.")
    if len(reason) > 300:
        raise TermsError("The reason is too long: say it in 300 characters.")
    return reason
