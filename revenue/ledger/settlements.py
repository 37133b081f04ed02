"""What settles an invoice without money, as journal entries: balances (docs/books.md, 17, 18, 21), write-offs (24)."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from billing.payments.balance.models import BalanceEntry
from billing.payments.writeoffs.models import WriteOff
from revenue.ledger import chart
from revenue.ledger.journal import NewEntry, NewLine
from revenue.ledger.models import JournalEntry

AGAINST: Final[dict[str, str]] = {
    BalanceEntry.Kind.CREDIT_NOTE: chart.RECEIVABLE,
    BalanceEntry.Kind.APPLIED: chart.RECEIVABLE,
    BalanceEntry.Kind.REFUND: chart.CASH,
    BalanceEntry.Kind.OUTSIDE: chart.OTHER_LOSSES,
}
"""The account beside the customer balance. What was paid too much is in the payment's own entry."""


def of_balances(ids: Sequence[int]) -> dict[int, NewEntry]:
    """Each movement against what it settles: a credit note leaves the receivables, an application takes from them."""
    found = BalanceEntry.objects.filter(pk__in=ids).select_related("account", "invoice")
    return {entry.pk: _balance(entry) for entry in found}


def _balance(entry: BalanceEntry) -> NewEntry:
    customer, contract = entry.account.customer_id, entry.invoice.contract_id if entry.invoice else None
    about = str(entry.invoice.number) if entry.invoice else entry.reason
    return NewEntry(
        entity_id=entry.account.entity_id,
        event=JournalEntry.Event.BALANCE,
        source=f"balance/{entry.pk}",
        memo=f"Balance: {entry.get_kind_display().lower()}, {about}",
        day=entry.day,
        currency=entry.account.currency,
        lines=(
            NewLine(AGAINST[entry.kind], entry.amount, customer, contract),
            NewLine(chart.CUSTOMER_BALANCE, -entry.amount, customer),
        ),
    )


def of_write_offs(ids: Sequence[int]) -> dict[int, NewEntry]:
    """Bad debt against the receivable, dated on the day of approval. Tax stays payable until a note credits it."""
    return {each.pk: _write_off(each, each.amount) for each in _found(ids)}


def of_reversals(ids: Sequence[int]) -> dict[int, NewEntry]:
    """The same on the other sides, dated on the day of the reversal."""
    return {each.pk: _write_off(each, -each.amount) for each in _found(ids)}


def _found(ids: Sequence[int]) -> list[WriteOff]:
    return list(WriteOff.objects.filter(pk__in=ids).select_related("invoice"))


def _write_off(found: WriteOff, amount: Decimal) -> NewEntry:
    invoice, back = found.invoice, amount < 0
    day = found.reversed_on if back else found.decided_on
    assert day is not None  # the outbox is written with it
    return NewEntry(
        entity_id=invoice.entity_id,
        event=JournalEntry.Event.WRITE_OFF_REVERSED if back else JournalEntry.Event.WRITE_OFF,
        source=f"writeoff/{found.pk}{'/reversed' if back else ''}",
        memo=f"{'Write-off reversed' if back else 'Write-off'} of {invoice.number}: "
        f"{found.reversal_reason if back else found.reason}",
        day=day,
        currency=invoice.currency,
        lines=(
            NewLine(chart.BAD_DEBT, amount, invoice.customer_id, invoice.contract_id),
            NewLine(chart.RECEIVABLE, -amount, invoice.customer_id, invoice.contract_id),
        ),
    )
