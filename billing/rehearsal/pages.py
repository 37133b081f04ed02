"""What the page “Next invoices” prints: documents that are foreseen, as texts."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

from billing.invoicing.models import Invoice
from billing.periods import local_date
from billing.pricing.words import plural
from billing.rehearsal.services import Foreseen, ForeseenLine
from customers.backoffice import amount_text, quantity_text
from customers.models import Contract


def cards_of(found: Iterable[Foreseen], contract: Contract) -> list[dict[str, Any]]:
    """A card each; lines of other contracts say whose they are, and another payer is named."""
    return [_card(each, contract) for each in found]


def _card(each: Foreseen, contract: Contract) -> dict[str, Any]:
    several = any(line.contract != contract.number for line in each.lines)
    return {
        "day": each.day,
        "problem": each.problem,
        "kind": "" if each.problem else str(Invoice.Kind(each.kind).label),
        "total": amount_text(each.total, each.currency),
        "negative": each.total < 0,
        "payer": each.payer if each.payer != str(contract.customer) else "",
        "lines": _lines(each.lines, each.currency, contract.timezone, several=several),
    }


def _lines(lines: Sequence[ForeseenLine], currency: str, zone: str, *, several: bool) -> list[dict[str, Any]]:
    return [
        {
            "description": line.description,
            "whose": f"{line.customer}, contract {line.contract}" if several else "",
            "period": _days(line.start, line.end, zone),
            "quantity": quantity_text(line.quantity) if line.quantity is not None else "",
            "unit": plural(line.unit, Fraction(line.quantity or 0)) if line.unit else "",
            "amount": amount_text(line.amount, currency),
            "negative": line.amount < 0,
        }
        for line in lines
    ]


def _days(start: datetime, end: datetime, zone: str) -> str:
    """First and last day of service in the contract's zone."""
    first, last = local_date(start, zone), local_date(max(start, end - timedelta(microseconds=1)), zone)
    return f"{first} – {last}" if first != last else f"{first}"
