"""What review shows of an invoice: how it differs, why, what is unusual, and it beside the one before."""

from decimal import Decimal
from typing import Any

from billing.invoicing.models import Invoice
from billing.invoicing.review.models import Assessment
from billing.invoicing.review.queries import items_of, preparations_of
from billing.invoicing.review.rules import Item
from billing.invoicing.states import InvoiceState
from customers.backoffice import NONE, amount_text, change_url, quantity_text

LEVELS = {"high": "High", "notable": "Notable", "ordinary": "Ordinary"}
LEVEL_BADGES = {"High": "danger", "Notable": "warning", "Ordinary": "success"}


def change_text(change: Decimal | None) -> str:
    """“+12.5 %”; a dash where there is nothing to compare with."""
    if change is None:
        return NONE
    sign = "+" if change > 0 else "−" if change < 0 else ""
    return f"{sign}{abs(change):,} %"


def review_of(invoice: Invoice) -> dict[str, Any]:
    """What the page of an invoice says of its review; three queries."""
    known = Assessment.objects.select_related("previous", "year_ago").filter(invoice=invoice).first()
    return {
        "known": shown(known, invoice.currency) if known and invoice.state == InvoiceState.DRAFT else None,
        "prepared": preparations_of([invoice.pk]).get(invoice.pk, []),
        "approvals": list(invoice.approvals.select_related("policy", "user")),
    }


def shown(known: Assessment, currency: str) -> dict[str, Any]:
    """An assessment as texts."""
    return {
        "level": LEVELS[known.level],
        "level_class": LEVEL_BADGES[LEVELS[known.level]],
        "score": known.score,
        "change": change_text(known.change),
        "previous": _other(known.previous, known.previous_total, currency),
        "year_ago": _other(known.year_ago, known.year_total, currency),
        "reasons": [(text, _signed(Decimal(amount), currency), Decimal(amount) < 0) for text, amount in known.reasons],
        "findings": [text for _, text in known.findings],
        "compare_url": change_url(known),
    }


def _other(invoice: Invoice | None, total: Decimal | None, currency: str) -> dict[str, str] | None:
    if invoice is None:
        return None
    return {"name": str(invoice), "url": change_url(invoice), "total": amount_text(total, currency)}


def _signed(amount: Decimal, currency: str) -> str:
    return amount_text(amount, currency) if amount < 0 else amount_text(amount, currency).replace(" ", " +", 1)


def side_by_side(known: Assessment) -> dict[str, Any]:
    """A draft beside the invoice before it, a row for each thing that is billed; two queries."""
    draft = known.invoice
    items = items_of([draft.pk, *([known.previous_id] if known.previous_id else [])])
    before, now = _by_key(items.get(known.previous_id or 0, [])), _by_key(items.get(draft.pk, []))
    rows = [_row(before.get(key, []), now.get(key, []), draft.currency) for key in {**now, **before}]
    return {
        "draft": draft,
        "total": amount_text(draft.total, draft.currency),
        "rows": rows,
        "review": shown(known, draft.currency),
    }


def _by_key(items: list[Item]) -> dict[tuple[int, str, bool], list[Item]]:
    found: dict[tuple[int, str, bool], list[Item]] = {}
    for item in items:
        found.setdefault((*item.key, item.corrects), []).append(item)
    return found


def _row(before: list[Item], now: list[Item], currency: str) -> dict[str, Any]:
    one = (now or before)[-1]
    sums = [sum((item.amount for item in items), Decimal(0)) for items in (before, now)]
    return {
        "name": f"Correction: {one.name}" if one.corrects else one.name,
        "version": one.version_name,
        "before_quantity": _quantity(before),
        "before": amount_text(sums[0], currency) if before else NONE,
        "now_quantity": _quantity(now),
        "now": amount_text(sums[1], currency) if now else NONE,
        "difference": _signed(sums[1] - sums[0], currency) if sums[1] != sums[0] else NONE,
        "less": sums[1] < sums[0],
    }


def _quantity(items: list[Item]) -> str:
    known = [item.quantity for item in items if item.quantity is not None]
    if not known:
        return ""
    return quantity_text(sum(known, Decimal(0)) if items[0].metered else known[-1])
