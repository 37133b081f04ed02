"""How dated facts of agreements are written: a reason, a stamp once, a row in the place of one that was ended."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.contrib.auth.models import AbstractBaseUser

from billing.catalog.agreements.facts import DatedFact
from billing.catalog.terms.errors import TermsError


def said(rows: Sequence[DatedFact], *, reason: str, user: AbstractBaseUser | None, now: datetime) -> None:
    """Insert rows with who said them, when and why; TermsError without a reason."""
    why = checked(reason)
    for row in rows:
        row.reason, row.recorded_by, row.recorded_at = why, user, now  # type: ignore[assignment]
        row.save(force_insert=True)


def superseded(rows: Sequence[DatedFact], *, reason: str, user: AbstractBaseUser | None, now: datetime) -> None:
    """Stamp each row once; who comes second is told."""
    why = checked(reason)
    for row in rows:
        current = type(row)._default_manager.filter(pk=row.pk, superseded_at=None)
        if not current.update(superseded_at=now, superseded_by=user, superseded_reason=why):
            raise TermsError("This was changed meanwhile: look at the agreements again.")


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
