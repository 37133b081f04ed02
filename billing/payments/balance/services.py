"""What moves a customer's balance: credit notes, what was paid too much, invoices it is used for, refunds (R5.4, R5.6).

Every verb holds the payer's lock, so that two of them come one after the other; triggers guard the same.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from billing.invoicing.background import enqueue
from billing.invoicing.concessions.models import Way
from billing.invoicing.models import Invoice, Outbox
from billing.invoicing.states import InvoiceState
from billing.payments.balance.errors import BalanceTooSmall, NothingToApply, WhyMissing
from billing.payments.balance.models import BalanceAccount, BalanceEntry
from billing.payments.balance.queries import (
    balance_for,
    balance_of,
    credited_invoices,
    customers_with,
    uncredited_notes,
    way_of,
)
from billing.payments.checking import check_amount, money_text
from billing.payments.errors import NotPayable
from billing.payments.models import Payment
from billing.payments.queries import open_amount
from billing.periods import local_date
from customers.locks import lock_customers

Kind = BalanceEntry.Kind
BOOKS = "revenue.tasks.post_documents"


@transaction.atomic
def settle_issued(
    *, invoices: Sequence[Invoice], user: AbstractBaseUser | None, now: datetime,
    ways: Mapping[int, str] | None = None,
) -> None:  # fmt: skip
    """Let what was just issued meet the balances: credit notes go to them, invoices take from them (R5.4, R5.6).

    A credit note first settles what is open on the invoices that it credits; the rest stays as balance, and the next
    invoice uses it before any payment, unless it is refunded or settled outside: as `ways` say by note, else as was
    said when it was conceded. Notes of earlier releases, which met no balance yet, come along.
    """
    lock_customers({invoice.customer_id for invoice in invoices})
    concerned = customers_with({invoice.customer_id for invoice in invoices})
    for invoice in invoices:
        if invoice.customer_id not in concerned:
            continue
        for note in uncredited_notes(invoice).select_related("entity"):
            rest = _credit(note, user, now)
            way = (ways or {}).get(note.pk) or way_of(note)
            if rest and way != Way.BALANCE:
                _give_back(note, rest, Kind.REFUND if way == Way.REFUND else Kind.OUTSIDE, user, now)
        if invoice.kind == Invoice.Kind.INVOICE:
            _use(invoice, user, now)


@transaction.atomic
def apply_balance(*, invoice_id: int, user: AbstractBaseUser | None, now: datetime) -> BalanceEntry:
    """Use the payer's balance for an issued invoice, as far as both reach. NotPayable, NothingToApply."""
    invoice = Invoice.objects.select_related("entity").get(pk=invoice_id)
    lock_customers({invoice.customer_id})
    if invoice.state != InvoiceState.ISSUED:
        raise NotPayable(invoice)
    for note in uncredited_notes(invoice).select_related("entity"):
        _credit(note, user, now)
    entry = _use(invoice, user, now) if invoice.kind == Invoice.Kind.INVOICE else None
    if entry is None:
        raise NothingToApply(invoice)
    enqueue(BOOKS)
    return entry


def refund(
    *, account_id: int, amount: Decimal, reason: str, user: AbstractBaseUser | None, now: datetime
) -> BalanceEntry:
    """Record that a part of a balance was paid back; `reason` says how. WhyMissing, WrongAmount, BalanceTooSmall."""
    return _take(Kind.REFUND, account_id, amount, reason, user, now)


def settle_outside(
    *, account_id: int, amount: Decimal, reason: str, user: AbstractBaseUser | None, now: datetime
) -> BalanceEntry:
    """Record that a part of a balance was settled elsewhere, e.g. set off in another system. Refuses as `refund`."""
    return _take(Kind.OUTSIDE, account_id, amount, reason, user, now)


def keep_rest(*, payment: Payment, amount: Decimal, user: AbstractBaseUser | None, now: datetime) -> BalanceEntry:
    """What a payment leaves over becomes balance. The payment's own journal entry says so already."""
    account = _account(payment.customer_id, payment.entity_id, payment.currency)
    return _add(account, Kind.OVERPAYMENT, amount, user, now, payment=payment, day=payment.received_on)


@transaction.atomic
def _take(
    kind: BalanceEntry.Kind, account_id: int, amount: Decimal, reason: str, user: AbstractBaseUser | None, now: datetime
) -> BalanceEntry:
    account = BalanceAccount.objects.select_related("entity", "customer").get(pk=account_id)
    lock_customers({account.customer_id})
    if not reason.strip():
        raise WhyMissing
    check_amount(amount, account.currency)
    balance = balance_of(account)
    if amount > balance:
        raise BalanceTooSmall(account, money_text(amount, account.currency), money_text(balance, account.currency))
    entry = _add(account, kind, -amount, user, now, reason=reason.strip(), day=local_date(now, account.entity.timezone))
    enqueue(BOOKS)
    return entry


def _credit(note: Invoice, user: AbstractBaseUser | None, now: datetime) -> Decimal:
    """A credit note becomes balance, and settles at once what is open on the invoices that it credits; the rest."""
    account = _account(note.customer_id, note.entity_id, note.currency)
    day, rest = local_date(now, note.entity.timezone), -note.total
    _add(account, Kind.CREDIT_NOTE, rest, user, now, invoice=note, day=day)
    for invoice in credited_invoices(note):
        amount = min(rest, open_amount(invoice))
        if amount > 0:
            _add(account, Kind.APPLIED, -amount, user, now, invoice=invoice, day=day)
            rest -= amount
    return rest


def _give_back(note: Invoice, rest: Decimal, kind: str, user: AbstractBaseUser | None, now: datetime) -> None:
    """What a note leaves over goes back to the customer, not into the next invoices."""
    account, day = _account(note.customer_id, note.entity_id, note.currency), local_date(now, note.entity.timezone)
    _add(account, Kind(kind), -rest, user, now, reason=f"{note.number}: as was chosen for its credit", day=day)


def _use(invoice: Invoice, user: AbstractBaseUser | None, now: datetime) -> BalanceEntry | None:
    balance = balance_for(invoice)
    if balance <= 0:
        return None
    amount = min(balance, open_amount(invoice))
    if amount <= 0:
        return None
    account = _account(invoice.customer_id, invoice.entity_id, invoice.currency)
    day = local_date(now, invoice.entity.timezone)
    return _add(account, Kind.APPLIED, -amount, user, now, invoice=invoice, day=day)


def _account(customer: int, entity: int, currency: str) -> BalanceAccount:
    return BalanceAccount.objects.get_or_create(customer_id=customer, entity_id=entity, currency=currency)[0]


def _add(
    account: BalanceAccount, kind: BalanceEntry.Kind, amount: Decimal, user: AbstractBaseUser | None, now: datetime,
    **about: Any,
) -> BalanceEntry:  # fmt: skip
    """One more entry, and a word to the books unless they know it from the payment."""
    by = user.pk if user else None
    entry = BalanceEntry.objects.create(
        account=account, kind=kind, amount=amount, recorded_at=now, recorded_by_id=by, **about
    )
    if kind != Kind.OVERPAYMENT:
        Outbox.objects.create(kind=Outbox.Kind.BALANCE_MOVED, object_id=entry.pk, created_at=now)
    return entry
