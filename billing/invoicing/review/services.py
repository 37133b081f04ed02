"""Drafts assessed, who prepared them noted, policies set, and what is ordinary approved."""

from collections.abc import Collection, Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import AbstractBaseUser

from billing.invoicing.models import Invoice
from billing.invoicing.review import queries, rules
from billing.invoicing.review.models import ApprovalPolicy, Assessment, Preparation
from billing.invoicing.review.rules import Finding, Item
from billing.invoicing.states import InvoiceState
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
    drafts = list(
        Invoice.objects.filter(pk__in=list(invoice_ids), state=InvoiceState.DRAFT).select_related("run").order_by("pk")
    )
    if not drafts:
        return 0
    _note_runs(drafts, now)
    known = _Known(drafts)
    fresh = [_assessment(draft, known) for draft in drafts]
    Assessment.objects.bulk_create(
        fresh, update_conflicts=True, unique_fields=["invoice"],
        update_fields=[
            "drafted_at", "previous", "previous_total", "change", "year_ago", "year_total", "reasons", "findings",
            "score", "level",
        ],
    )  # fmt: skip
    return len(fresh)


def _note_runs(drafts: Sequence[Invoice], now: datetime) -> None:
    asked = [
        Preparation(invoice=each, user_id=each.run.requested_by_id, what=RAN, at=now)
        for each in drafts
        if each.run and each.run.requested_by_id
    ]
    if asked:
        Preparation.objects.bulk_create(asked, ignore_conflicts=True)


class _Known:
    """Everything that assessments of some drafts need, read at once."""

    def __init__(self, drafts: Sequence[Invoice]) -> None:
        ids = [each.pk for each in drafts]
        self.earlier = queries.earlier_of(ids)
        before = {each.previous_id for each in self.earlier.values() if each.previous_id}
        self.items = queries.items_of({*ids, *before})
        self.customers = queries.customers_on(ids)
        everyone = {pk for group in self.customers.values() for pk in group} | {each.customer_id for each in drafts}
        self.held, self.alerts = queries.held_now(everyone), queries.alerts_now(everyone)
        self.preparations = queries.preparations_of(ids)
        self.spans = queries.spans_of(ids)
        spans = [each for group in self.spans.values() for each in group]
        self.active = active_days(
            {each.customer_id for each in spans}, min(each.before for each in spans), max(each.last for each in spans)
        ) if spans else {}  # fmt: skip


def _assessment(draft: Invoice, known: _Known) -> Assessment:
    earlier = known.earlier.get(draft.pk, queries.Earlier())
    now, before = known.items[draft.pk], known.items[earlier.previous_id or 0]
    change = rules.change_of(draft.total, earlier.previous_total)
    found = _findings(draft, now, before, earlier.previous_id, known)
    points = rules.score(found, change)
    why = rules.reasons(now, before) if earlier.previous_id else []
    return Assessment(
        invoice=draft, drafted_at=draft.updated_at, previous_id=earlier.previous_id,
        previous_total=earlier.previous_total, change=change, year_ago_id=earlier.year_id,
        year_total=earlier.year_total, score=points, level=rules.level_of(points),
        reasons=[[each.text, str(each.amount)] for each in why],
        findings=[[each.code, each.text] for each in found],
    )  # fmt: skip


def _findings(
    draft: Invoice, now: Sequence[Item], before: Sequence[Item], previous: int | None, known: _Known
) -> list[Finding]:
    """Everything unusual, what weighs most first."""
    found = rules.jumps(now, before) if previous else []
    for span in known.spans[draft.pk]:
        if silent := rules.silent_days(span.first, span.last, known.active.get(span.customer_id, set())):
            found.append(silent)
    if previous is None and not draft.apart:
        found.append(Finding("first", "First invoice"))
    if draft.total < 0:
        found.append(Finding("credit", "Credits outweigh charges"))
    elif not draft.total:
        found.append(Finding("zero", "Comes to nothing"))
    if corrected := sum(item.corrects for item in now):
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
    for customer in sorted(known.customers[draft.pk] | {draft.customer_id}):
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
