"""Invoices and journal entries as a scenario shows them: what a reader knows them by, and no ids of the database."""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

from django.db.models import Prefetch, QuerySet

from billing.invoicing.models import Invoice, InvoiceLine
from billing.invoicing.states import InvoiceState
from billing.invoicing.taxes.models import InvoiceTax
from billing.money import plain, round_money
from billing.payments.queries import Standing, with_standing
from billing.periods import Period, local_date, local_midnight
from config.scenario.shapes import Choice, Flag, Key, ListOf, Moment, Number, Obj, Part, Text, Whole, may
from revenue.ledger.models import JournalEntry, JournalLine

STEP_KEYS: Final = {
    "label": may(Part()), "quantity": may(Number(null=True)), "unit_amount": may(Number(null=True)),
    "flat_amount": may(Number(null=True)), "amount": may(Number()),
}  # fmt: skip
LINE_KEYS: Final[dict[str, Key]] = {
    "contract": may(Text()), "subscription": may(Text(), "its code"), "charge": may(Text(), "its code"),
    "kind": may(Choice(tuple(InvoiceLine.Kind.values))),
    "name": may(Text(), "as printed"), "from": may(Moment(), "of the service"), "to": may(Moment(), "exclusive"),
    "quantity": may(Number(null=True)), "unit": may(Text(empty=True)), "fraction": may(Text(empty=True)),
    "amount": may(Number()), "billed_before": may(Number(null=True)), "desired": may(Number(null=True)),
    "corrects": may(Obj("a corrected line", {"invoice": may(Text()), "line": may(Whole(1, 10**6))})),
    "steps": may(ListOf(Obj("a step of a line", STEP_KEYS)), "how the amount came about"),
    "tax": may(Number(), "on it"),
}  # fmt: skip
INVOICE_KEYS: Final[dict[str, Key]] = {
    "kind": may(Choice(("invoice", "credit_note"))), "number": may(Text(), "where it is issued"),
    "customer": may(Text(), "who pays"), "contract": may(Text(), "where all lines are of one"),
    "group": may(Text(), "of contracts that share it"), "apart": may(Flag(), "corrections alone"),
    "entity": may(Text()), "state": may(Choice(tuple(InvoiceState.values))), "as_of": may(Moment(days=True)),
    "issue_date": may(Moment(days=True, null=True)), "due_date": may(Moment(days=True, null=True)),
    "currency": may(Text()), "net": may(Number()), "tax": may(Number()), "total": may(Number()),
    "paid": may(Number()), "open": may(Number(null=True)),
    "standing": may(Choice(tuple(Standing.values))),
    "taxes": may(ListOf(Obj("a tax of an invoice", {
        "code": may(Text()), "name": may(Text(), "as printed"), "percentage": may(Number()), "treatment": may(Text()),
        "note": may(Text(empty=True), "that must be printed"), "net": may(Number()), "tax": may(Number()),
    })), "all of them, in order"),
    "lines": may(ListOf(Obj("an invoice line", LINE_KEYS)), "all of them, in order"),
}  # fmt: skip
INVOICE: Final = Obj("an invoice", INVOICE_KEYS)
ENTRY: Final = Obj("a journal entry", {
    "number": may(Whole(1, 10**9)), "entity": may(Text()),
    "event": may(Choice(tuple(JournalEntry.Event.values))), "date": may(Moment(days=True)),
    "month": may(Text(), "that it concerns"), "memo": may(Part()), "currency": may(Text()),
    "lines": may(ListOf(Obj("a journal line", {
        "account": may(Text()), "name": may(Text()), "debit": may(Number()), "credit": may(Number()),
        "customer": may(Text()), "contract": may(Text()),
    })), "all of them, debits first"),
})  # fmt: skip


def invoices_of(rows: QuerySet[Invoice], today: date) -> dict[int, dict[str, Any]]:
    """Each invoice by its id, with its lines, as JSON; `today` is the day on which it may be overdue."""
    lines = InvoiceLine.objects.select_related(
        "stream__contract", "stream__subscription", "stream__charge_code", "corrects__invoice"
    ).order_by("position")
    found = with_standing(rows.select_related("customer", "contract", "entity"), today)
    ordered = found.prefetch_related(Prefetch("lines", lines, "all_lines"), "taxes").order_by("id")
    return {invoice.pk: _invoice(invoice) for invoice in ordered}


def _invoice(invoice: Any) -> dict[str, Any]:
    found = {
        "kind": str(invoice.kind), "number": invoice.number, "customer": invoice.customer.external_id,
        "contract": invoice.contract and invoice.contract.number,
        "group": invoice.group or None, "apart": invoice.apart or None, "entity": invoice.entity.code,
        "state": str(invoice.state), "as_of": _day(invoice.as_of), "issue_date": _day(invoice.issue_date),
        "due_date": _day(invoice.due_date), "currency": invoice.currency,
        **{key: money(getattr(invoice, key), invoice.currency) for key in ("net", "tax", "total", "paid", "open")},
        "standing": invoice.standing, "taxes": [_tax(each, invoice.currency) for each in invoice.taxes.all()] or None,
        "lines": [_line(line, invoice.currency) for line in invoice.all_lines],
    }  # fmt: skip
    return {key: value for key, value in found.items() if value is not None}


def _line(line: InvoiceLine, currency: str) -> dict[str, Any]:
    contract = line.stream.contract
    start, end = service(Period(line.service_start, line.service_end), contract.timezone)
    found: dict[str, Any] = {
        "contract": contract.number,
        "subscription": line.stream.subscription.code if line.stream.subscription else None,
        "charge": line.stream.charge_code.code if line.stream.charge_code else None, "kind": str(line.kind),
        "name": line.description, "from": start, "to": end,
        "quantity": None if line.quantity is None else plain(line.quantity), "unit": line.unit or None,
        "fraction": line.fraction if line.fraction not in ("", "1") else None,
        **{key: money(getattr(line, key), currency) for key in ("amount", "billed_before", "desired")},
        "corrects": _corrected(line.corrects), "steps": line.steps,
        "tax": money(line.tax, currency) if line.taxes else None,
    }  # fmt: skip
    return {key: value for key, value in found.items() if value is not None}


def _tax(tax: InvoiceTax, currency: str) -> dict[str, Any]:
    return {
        "code": tax.code, "name": tax.name, "percentage": plain(tax.percentage), "treatment": str(tax.treatment),
        "note": tax.note, "net": money(tax.net, currency), "tax": money(tax.tax, currency),
    }  # fmt: skip


def _corrected(line: InvoiceLine | None) -> dict[str, Any] | None:
    if line is None:
        return None
    return {"invoice": line.invoice.number or str(line.invoice.state), "line": line.position}


def journal_of(rows: QuerySet[JournalEntry]) -> dict[int, dict[str, Any]]:
    """Each entry by its id, with its lines, as JSON."""
    lines = JournalLine.objects.select_related("account", "customer", "contract").order_by("-debit", "account", "id")
    found = rows.select_related("entity").prefetch_related(Prefetch("lines", lines, "all_lines"))
    return {entry.pk: _entry(entry) for entry in found.order_by("entity__code", "number")}


def _entry(entry: Any) -> dict[str, Any]:
    currency = entry.all_lines[0].currency
    return {
        "number": entry.number, "entity": entry.entity.code, "event": str(entry.event), "date": _day(entry.date),
        "month": f"{entry.origin_month:%Y-%m}", "memo": entry.memo, "currency": currency,
        "lines": [_side(line, currency) for line in entry.all_lines],
    }  # fmt: skip


def _side(line: JournalLine, currency: str) -> dict[str, Any]:
    side = "debit" if line.debit else "credit"
    found = {
        "account": line.account.code, "name": line.account.name, side: money(getattr(line, side), currency),
        "customer": line.customer.external_id, "contract": line.contract and line.contract.number,
    }  # fmt: skip
    return {key: value for key, value in found.items() if value is not None}


def service(period: Period, zone: str) -> tuple[str, str | None]:
    """The bounds of a period: days where they are midnights in the zone, else instants in UTC."""
    instants = [period.start, *([period.end] if period.end else [])]
    if all(local_midnight(local_date(each, zone), zone) == each for each in instants):
        found = [local_date(each, zone).isoformat() for each in instants]
    else:
        found = [utc(each) for each in instants]
    return found[0], found[1] if period.end else None


def utc(instant: datetime) -> str:
    """“2026-01-31T18:00:00Z”."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def money(amount: Decimal | None, currency: str) -> str | None:
    """An amount with the places of its currency."""
    return None if amount is None else f"{round_money(amount, currency):f}"


def total(amounts: Iterable[Decimal], currency: str) -> str:
    """Their sum, with the places of the currency."""
    return f"{round_money(sum(amounts, Decimal(0)), currency):f}"


def _day(day: date | None) -> str | None:
    return day.isoformat() if day else None
