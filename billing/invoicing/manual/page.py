"""What the page of an invoice shows of lines, discounts and notes that were added by hand."""

from typing import Any

from django.http import HttpRequest

from billing.invoicing.manual.models import ManualLine
from billing.invoicing.manual.queries import lines_on, notes_on
from billing.invoicing.manual.states import ManualKind
from billing.invoicing.models import Invoice
from billing.invoicing.states import InvoiceState
from billing.money import plain
from customers.backoffice import amount_text, quantity_text


def manual_card(request: HttpRequest, invoice: Invoice) -> dict[str, Any]:
    """What `templates/billing/admin/manual.html` prints; three queries."""
    draft = invoice.state == InvoiceState.DRAFT
    billed = lines_on(invoice)
    return {
        "lines": [_row(line, amounts, invoice, draft) for line, amounts in billed],
        "notes": notes_on(invoice),
        "may": draft and may(request),
        "may_note": may(request) and invoice.state != InvoiceState.SKIPPED,
        "draft": draft,
    }


def may(request: HttpRequest) -> bool:
    """Who may add to drafts by hand."""
    return bool(request.user.has_perm("billing.add_manualline"))


def _row(line: ManualLine, amount: Any, invoice: Invoice, draft: bool) -> dict[str, Any]:
    waits = draft and amount is None
    return {
        "line": line,
        "what": _words(line),
        "amount": amount_text(amount, invoice.currency) if amount is not None else "–",
        "waits": "" if not waits else _why_waiting(line, invoice),
        "change": line.kind == ManualKind.LINE,
    }


def _why_waiting(line: ManualLine, invoice: Invoice) -> str:
    if line.due_on > invoice.as_of:
        return f"On drafts as of {line.due_on} or later."
    return "There is nothing here to take it off."


def _words(line: ManualLine) -> str:
    """“2.5 hours at 80.10”, “10 % off”, “50.00 off one line”."""
    currency = line.contract.currency
    if line.kind == ManualKind.LINE:
        if line.quantity is None:
            return "An amount"
        return f"{quantity_text(line.quantity)} × {amount_text(line.unit_price, currency)}"
    off = f"{plain(line.percentage)} %" if line.percentage is not None else amount_text(line.amount, currency)
    return f"{off} off {'one line' if line.of_stream_id else 'all lines'}"
