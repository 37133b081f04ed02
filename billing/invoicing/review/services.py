"""Drafts assessed, who prepared them noted, policies set, and what is ordinary approved."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import connection

from billing.invoicing.review import queries, rules
from billing.invoicing.review.models import ApprovalPolicy, Preparation
from billing.invoicing.review.queries import Draft
from billing.invoicing.review.rules import Finding, Item
from billing.metering.explorer.activity import active_days
from customers.models import Customer, LegalEntity

RAN = "asked for the billing run"


def prepared(
    *, invoice_ids: Iterable[int], user: AbstractBaseUser | None, what: str, now: datetime, edited: bool = True
) -> None:
    """Note that somebody had a hand in drafts: who changes one by hand does not approve it under four eyes.

    `what` ends the sentence “She …”: “added a line”. Nobody (the system) prepares nothing.
    """
    if user is None or user.pk is None:
        return
    Preparation.objects.bulk_create(
        [Preparation(invoice_id=pk, user_id=user.pk, what=what, edited=edited, at=now) for pk in invoice_ids],
        ignore_conflicts=True,
    )


def assess(*, invoice_ids: Collection[int], now: datetime) -> int:
    """Bring what review knows of open drafts up to date, and note who asked for their run; how many.

    Constant queries.
    """
    drafts = queries.drafts_of(invoice_ids)
    if drafts:
        _note_runs(drafts, now)
        known = _Known(drafts)
        _keep([_assessment(draft, known) for draft in drafts])
    return len(drafts)


def _note_runs(drafts: Sequence[Draft], now: datetime) -> None:
    asked = [
        Preparation(invoice_id=each.pk, user_id=each.asked_by, what=RAN, at=now) for each in drafts if each.asked_by
    ]
    if asked:
        Preparation.objects.bulk_create(asked, ignore_conflicts=True)


def _keep(assessments: Sequence[Mapping[str, Any]]) -> None:
    """Write assessments in the place of what was known of these drafts, by one parameter: a run makes very many."""
    names = ", ".join(assessments[0])
    fresh = ", ".join(f"excluded.{name}" for name in assessments[0])
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO billing_assessment ({names})"
            f" SELECT {names} FROM jsonb_populate_recordset(NULL::billing_assessment, %s::jsonb)"
            f" ON CONFLICT (invoice_id) DO UPDATE SET ({names}) = ROW({fresh})",
            [json.dumps(assessments, default=str)],
        )


class _Known:
    """Everything that assessments of some drafts need, read at once: constant queries, nothing of a model."""

    def __init__(self, drafts: Sequence[Draft]) -> None:
        ids = [each.pk for each in drafts]
        self.earlier = queries.earlier_of(drafts)
        compared = {pk for draft, each in self.earlier.items() if each.previous_id for pk in (draft, each.previous_id)}
        self.items = queries.items_of(compared)
        self.parts = queries.parts_of(ids)
        everyone = {each.customer_id for each in drafts} | {
            part.customer_id for parts in self.parts.values() for part in parts
        }
        self.held, self.alerts = queries.held_now(everyone), queries.alerts_now(everyone)
        self.preparations = queries.preparations_of(ids)
        self.active = active_days({part.watched for parts in self.parts.values() for part in parts if part.watched})


def _assessment(draft: Draft, known: _Known) -> dict[str, Any]:
    """The columns of an assessment."""
    earlier = known.earlier.get(draft.pk, queries.Earlier())
    now, before = (known.items[draft.pk], known.items[earlier.previous_id]) if earlier.previous_id else ([], [])
    change = rules.change_of(draft.total, earlier.previous_total)
    found = _findings(draft, now, before, earlier.previous_id, known)
    points = rules.score(found, change)
    why = rules.reasons(now, before) if earlier.previous_id else []
    return {
        "invoice_id": draft.pk, "drafted_at": draft.updated_at, "previous_id": earlier.previous_id,
        "previous_total": earlier.previous_total, "change": change, "year_ago_id": earlier.year_id,
        "year_total": earlier.year_total, "score": points, "level": rules.level_of(points),
        "reasons": [[each.text, str(each.amount)] for each in why],
        "findings": [[each.code, each.text] for each in found],
    }  # fmt: skip


def _findings(
    draft: Draft, now: Sequence[Item], before: Sequence[Item], previous: int | None, known: _Known
) -> list[Finding]:
    """Everything unusual, what weighs most first."""
    found = rules.jumps(now, before) if previous else []
    parts = known.parts[draft.pk]
    for part in parts:
        active = known.active.get(part.watched, set()) if part.watched else set()
        if part.span and (silent := rules.silent_days(*part.span, active)):
            found.append(silent)
    if previous is None and not draft.apart:
        found.append(Finding("first", "First invoice"))
    if draft.total < 0:
        found.append(Finding("credit", "Credits outweigh charges"))
    elif not draft.total:
        found.append(Finding("zero", "Comes to nothing"))
    if corrected := sum(part.corrections for part in parts):
        found.append(
            Finding(
                "corrects",
                f"{corrected} lines correct earlier invoices"
                if corrected > 1
                else "1 line corrects an earlier invoice",
            )
        )
    if draft.returned_reason:
        found.append(Finding("returned", f"Sent back before: {draft.returned_reason}"))
    edits = [each for each in known.preparations[draft.pk] if each.edited]
    found += [Finding("edited", f"{each.user} {each.what}") for each in edits]
    for customer in sorted({draft.customer_id, *(part.customer_id for part in parts)}):
        found += [Finding("held", text) for text in known.held[customer]]
        found += [Finding("alert", text) for text in known.alerts[customer]]
    return sorted(found, key=lambda each: -each.points)


def set_policy(
    *,
    entity: LegalEntity,
    customer: Customer | None,
    since: date,
    amount: Decimal | None,
    currency: str,
    change: Decimal | None,
    unusual: bool,
    reason: str,
    user: Any,
    now: datetime,
) -> ApprovalPolicy:
    """Say what approves itself from a day on; the latest said holds. Open drafts stay until the next run's wake."""
    return ApprovalPolicy.objects.create(
        entity=entity, customer=customer, since=since, amount=amount, currency=currency, change=change,
        unusual=unusual, reason=reason, recorded_at=now, recorded_by=user,
    )  # fmt: skip
