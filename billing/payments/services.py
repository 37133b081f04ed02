"""Money in: a payment and the invoice that it settles."""

from datetime import date, datetime
from decimal import Decimal

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from billing.invoicing.background import enqueue
from billing.invoicing.models import Invoice, Outbox
from billing.invoicing.states import InvoiceState
from billing.payments.balance.services import keep_rest
from billing.payments.checking import check_amount, money_text
from billing.payments.errors import NotPayable, NotYetReceived, Overpaid, TakesNoPayment
from billing.payments.models import Allocation, Payment
from billing.payments.queries import open_amount
from billing.periods import local_date
from customers.locks import lock_customers


@transaction.atomic
def record_payment(
    *, invoice_id: int, amount: Decimal, received_on: date, reference: str, user: AbstractBaseUser | None,
    now: datetime, keep_over: bool = False,
) -> Payment:  # fmt: skip
    """Record money received for an invoice, allocated to that invoice; the books hear of it on commit.

    `amount` is in the invoice's currency and at most what is open; with `keep_over` what is more than that becomes the
    customer's balance, also where nothing is open any more; `received_on` is a day in the seller's zone, today
    at the latest; `reference` is the bank statement's. The invoice's row lock puts two payments at once one after the
    other, so that the second sees what the first left open; a trigger guards the same.
    Raises NotPayable, TakesNoPayment, WrongAmount, NotYetReceived, Overpaid.
    """
    lock_customers([Invoice.objects.values_list("customer_id", flat=True).get(pk=invoice_id)])
    invoice = Invoice.objects.select_for_update(of=("self",)).select_related("entity").get(pk=invoice_id)
    if invoice.state != InvoiceState.ISSUED:
        raise NotPayable(invoice)
    if invoice.kind == Invoice.Kind.CREDIT_NOTE:
        raise TakesNoPayment(invoice)
    check_amount(amount, invoice.currency)
    today = local_date(now, invoice.entity.timezone)
    if received_on > today:
        raise NotYetReceived(received_on, today)
    left = open_amount(invoice)
    settled = min(amount, max(left, Decimal(0)))
    if amount > settled and not keep_over:
        shown, rest = money_text(amount, invoice.currency), money_text(left, invoice.currency)
        raise Overpaid(invoice, shown, rest, settled=left <= 0)
    payment = _received(invoice, amount, received_on, reference, user, now)
    if settled:
        Allocation.objects.create(payment=payment, invoice=invoice, amount=settled)
    if amount > settled:
        keep_rest(payment=payment, amount=amount - settled, user=user, now=now)
    Outbox.objects.create(kind=Outbox.Kind.PAYMENT_RECORDED, object_id=payment.pk, created_at=now)
    enqueue("revenue.tasks.post_documents")
    return payment


def _received(
    invoice: Invoice, amount: Decimal, received_on: date, reference: str, user: AbstractBaseUser | None, now: datetime
) -> Payment:
    """The money as it arrived, from whoever owes the invoice."""
    return Payment.objects.create(
        customer_id=invoice.customer_id,
        entity_id=invoice.entity_id,
        reference=reference,
        currency=invoice.currency,
        amount=amount,
        received_on=received_on,
        recorded_at=now,
        recorded_by_id=user.pk if user else None,
    )
