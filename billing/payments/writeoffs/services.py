"""Write-offs: one asks, another approves or declines; what is booked can be reversed. Billing's records stay."""

from datetime import datetime
from decimal import Decimal

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from billing.invoicing.background import enqueue
from billing.invoicing.models import Invoice, Outbox
from billing.invoicing.states import InvoiceState
from billing.invoicing.voiding.errors import BadVoid
from billing.payments.checking import check_amount, money_text
from billing.payments.queries import open_amount
from billing.payments.writeoffs.errors import (
    AlreadyDecided,
    NothingOpen,
    NotIssued,
    NotYourOwn,
    ReasonMissing,
    WaitsAlready,
)
from billing.payments.writeoffs.models import WriteOff
from billing.periods import local_date
from customers.locks import lock_customers

State = WriteOff.State
BOOKS = "revenue.tasks.post_documents"


@transaction.atomic
def request_write_off(
    *, invoice_id: int, amount: Decimal, reason: str, four_eyes: bool, user: AbstractBaseUser | None, now: datetime
) -> WriteOff:
    """Ask that `amount` of what an invoice has open is given up; nothing is booked before it is approved.

    `four_eyes` is the setting of the moment: whether somebody else than `user` must approve. A PaymentsError says what
    is wrong with the invoice, the amount or the reason.
    """
    invoice = _locked(invoice_id)
    if invoice.state != InvoiceState.ISSUED or invoice.kind != Invoice.Kind.INVOICE:
        raise NotIssued(invoice)
    if not reason.strip():
        raise ReasonMissing("written off")
    check_amount(amount, invoice.currency)
    _refuse_more_than_open(invoice, amount)
    if WriteOff.objects.filter(invoice=invoice, state=State.REQUESTED).exists():
        raise WaitsAlready(invoice)
    return WriteOff.objects.create(
        invoice=invoice, amount=amount, reason=reason.strip(), four_eyes=four_eyes, requested_at=now,
        requested_by_id=user.pk if user else None,
    )  # fmt: skip


@transaction.atomic
def approve_write_off(*, write_off_id: int, user: AbstractBaseUser | None, now: datetime) -> WriteOff:
    """Book it: bad debt against the receivable. NotYourOwn, AlreadyDecided, or NothingOpen when money came since."""
    found = _waiting(write_off_id, State.REQUESTED)
    by = user.pk if user else None
    if found.four_eyes and (by is None or by == found.requested_by_id):
        raise NotYourOwn(found)
    _refuse_more_than_open(found.invoice, found.amount)
    return _decide(found, State.BOOKED, by, now)


@transaction.atomic
def decline_write_off(*, write_off_id: int, user: AbstractBaseUser | None, now: datetime) -> WriteOff:
    """Leave the invoice open. Whoever asked may take it back so, too."""
    return _decide(_waiting(write_off_id, State.REQUESTED), State.DECLINED, user.pk if user else None, now)


@transaction.atomic
def reverse_write_off(*, write_off_id: int, reason: str, user: AbstractBaseUser | None, now: datetime) -> WriteOff:
    """The amount is open again, e.g. because the customer pays after all. ReasonMissing, AlreadyDecided."""
    found = _waiting(write_off_id, State.BOOKED)
    if not reason.strip():
        raise ReasonMissing("reversed")
    found.state, found.reversal_reason = State.REVERSED, reason.strip()
    found.reversed_at, found.reversed_on = now, local_date(now, found.invoice.entity.timezone)
    found.reversed_by_id = user.pk if user else None
    found.save(update_fields=["state", "reversal_reason", "reversed_at", "reversed_on", "reversed_by"])
    _tell(Outbox.Kind.WRITE_OFF_REVERSED, found, now)
    return found


def refuse_void(*, invoice: Invoice) -> None:
    """BadVoid while something of an invoice is written off, or is asked to be: that it was not collected would stay."""
    found = WriteOff.objects.filter(invoice=invoice, state__in=[State.REQUESTED, State.BOOKED]).first()
    if found is not None:
        amount = money_text(found.amount, invoice.currency)
        if found.state == State.BOOKED:
            raise BadVoid(f"{amount} of {invoice} are written off: reverse the write-off first, then void it.")
        raise BadVoid(f"Somebody asked to write off {amount} of {invoice}: decline that first, then void it.")


def _decide(found: WriteOff, state: WriteOff.State, by: int | None, now: datetime) -> WriteOff:
    found.state, found.decided_by_id = state, by
    found.decided_at, found.decided_on = now, local_date(now, found.invoice.entity.timezone)
    found.save(update_fields=["state", "decided_at", "decided_on", "decided_by"])
    if state == State.BOOKED:
        _tell(Outbox.Kind.WRITE_OFF_BOOKED, found, now)
    return found


def _tell(kind: Outbox.Kind, found: WriteOff, now: datetime) -> None:
    Outbox.objects.create(kind=kind, object_id=found.pk, created_at=now)
    enqueue(BOOKS)


def _locked(invoice_id: int) -> Invoice:
    """The invoice as it stands once its payer's lock is held."""
    lock_customers([Invoice.objects.values_list("customer_id", flat=True).get(pk=invoice_id)])
    return Invoice.objects.select_related("entity").get(pk=invoice_id)


def _waiting(write_off_id: int, state: WriteOff.State) -> WriteOff:
    """The write-off, which must be in that state once the lock is held."""
    _locked(WriteOff.objects.values_list("invoice_id", flat=True).get(pk=write_off_id))
    found = WriteOff.objects.select_related("invoice__entity").get(pk=write_off_id)
    if found.state != state:
        raise AlreadyDecided(found, found.get_state_display().lower())
    return found


def _refuse_more_than_open(invoice: Invoice, amount: Decimal) -> None:
    left = open_amount(invoice)
    if amount > left:
        raise NothingOpen(invoice, money_text(amount, invoice.currency), money_text(left, invoice.currency))
