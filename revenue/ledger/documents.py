"""Documents of billing as journal entries: invoices (docs/books.md, entries 1 and 2) and payments (19 and 20)."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from billing.invoicing.models import Invoice, InvoiceLine, Outbox
from billing.payments.models import Allocation, Payment
from revenue.ledger import chart, settlements
from revenue.ledger.journal import NewEntry, NewLine
from revenue.ledger.models import JournalEntry
from revenue.ledger.obligations import UsageSlot, by_day, of_fees, of_slots


def entries_of(documents: Sequence[Outbox]) -> dict[int, NewEntry]:
    """The entry of each document by outbox id; none for a document of zero, which moves no account.

    Makes the obligations that the lines stand for. The number of queries does not depend on the number of documents.
    """
    ids: dict[str, list[int]] = defaultdict(list)
    for document in documents:
        ids[document.kind].append(document.object_id)
    found: dict[str, Mapping[int, NewEntry | None]] = {
        Outbox.Kind.INVOICE_ISSUED: _invoices(ids[Outbox.Kind.INVOICE_ISSUED]),
        Outbox.Kind.PAYMENT_RECORDED: _payments(ids[Outbox.Kind.PAYMENT_RECORDED]),
        Outbox.Kind.BALANCE_MOVED: settlements.of_balances(ids[Outbox.Kind.BALANCE_MOVED]),
        Outbox.Kind.WRITE_OFF_BOOKED: settlements.of_write_offs(ids[Outbox.Kind.WRITE_OFF_BOOKED]),
        Outbox.Kind.WRITE_OFF_REVERSED: settlements.of_reversals(ids[Outbox.Kind.WRITE_OFF_REVERSED]),
    }
    entries = {document.pk: found[document.kind][document.object_id] for document in documents}
    return {key: entry for key, entry in entries.items() if entry is not None}


def _invoices(ids: Sequence[int]) -> dict[int, NewEntry | None]:
    """Receivable against deferred revenue (fees), unbilled receivable (usage) and tax, dated on the issue date."""
    invoices = Invoice.objects.in_bulk(ids)
    lines: dict[int, list[InvoiceLine]] = defaultdict(list)
    amounts = (
        InvoiceLine.objects.filter(invoice__in=ids)
        .exclude(amount=0)
        .select_related("slot", "stream__contract", "charge")
    )
    for line in amounts.order_by("invoice", "position"):
        lines[line.invoice_id].append(line)
    obligations = _obligations([line for each in lines.values() for line in each])
    return {key: _invoice(invoice, lines[key], obligations) for key, invoice in invoices.items()}


def _obligations(lines: Sequence[InvoiceLine]) -> dict[int, int]:
    """The obligation behind each line, by line id; made where it is missing."""
    as_used = [line for line in lines if not by_day(line)]
    slots = of_slots(_slot_of(line) for line in as_used)
    fees = of_fees([line for line in lines if by_day(line)])
    return fees | {line.pk: slots[line.slot_id] for line in as_used if line.slot_id is not None}


def _slot_of(line: InvoiceLine) -> UsageSlot:
    """The slot of an amount line: its cycle, or the line's own service period where it has none."""
    slot = line.slot
    assert slot is not None
    start, end = slot.cycle_start, slot.cycle_end
    return UsageSlot(slot.pk, line.stream.contract, start or line.service_start, end or line.service_end)


def _invoice(invoice: Invoice, lines: Iterable[InvoiceLine], obligations: dict[int, int]) -> NewEntry | None:
    """One entry for an invoice or a credit note; negative lines land on the other side, amounts of zero nowhere.

    The payer owes it; what it is for is of the customer whose contract each line is of.
    """
    sides = [NewLine(chart.RECEIVABLE, invoice.total, invoice.customer_id, invoice.contract_id)]
    for line in lines:
        account = chart.DEFERRED if by_day(line) else chart.UNBILLED
        contract = line.stream.contract
        sides.append(NewLine(account, -line.amount, contract.customer_id, contract.pk, obligations[line.pk]))
    sides.append(NewLine(chart.TAX, -invoice.tax, invoice.customer_id, invoice.contract_id))
    assert invoice.issue_date is not None  # the outbox is written at issue
    return _entry(
        NewEntry(
            entity_id=invoice.entity_id,
            event=JournalEntry.Event.INVOICE_ISSUED,
            source=f"invoice/{invoice.pk}",
            memo=f"{invoice.get_kind_display()} {invoice.number}",
            day=invoice.issue_date,
            currency=invoice.currency,
            lines=tuple(side for side in sides if side.amount),
        )
    )


def _payments(ids: Sequence[int]) -> dict[int, NewEntry | None]:
    """Cash against the receivables that a payment settles; what it leaves over is the customer's balance."""
    payments = Payment.objects.in_bulk(ids)
    allocations: dict[int, list[Allocation]] = defaultdict(list)
    for allocation in Allocation.objects.filter(payment__in=ids).select_related("invoice").order_by("pk"):
        allocations[allocation.payment_id].append(allocation)
    return {key: _payment(payment, allocations[key]) for key, payment in payments.items()}


def _payment(payment: Payment, allocations: Sequence[Allocation]) -> NewEntry | None:
    """One entry for a payment, dated on the day it was received."""
    customer = payment.customer_id
    rest = payment.amount - sum((each.amount for each in allocations), Decimal(0))
    sides = [
        NewLine(chart.CASH, payment.amount, customer),
        *(NewLine(chart.RECEIVABLE, -each.amount, customer, each.invoice.contract_id) for each in allocations),
        NewLine(chart.CUSTOMER_BALANCE, -rest, customer),
    ]
    numbers = ", ".join(str(each.invoice.number) for each in allocations)
    return _entry(
        NewEntry(
            entity_id=payment.entity_id,
            event=JournalEntry.Event.PAYMENT,
            source=f"payment/{payment.pk}",
            memo=" ".join(filter(None, ["Payment", payment.reference, f"of {numbers}" if numbers else ""])),
            day=payment.received_on,
            currency=payment.currency,
            lines=tuple(side for side in sides if side.amount),
        )
    )


def _entry(entry: NewEntry) -> NewEntry | None:
    """The entry, unless it moves nothing."""
    return entry if entry.lines else None
