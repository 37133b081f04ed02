"""Issued invoices to their customers by e-mail, each attempt with its outcome kept."""

import logging
from collections.abc import Iterable
from datetime import datetime
from email.utils import formataddr, parseaddr
from uuid import uuid4

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.template.loader import render_to_string

from billing.invoicing.document_context import printed_invoice
from billing.invoicing.documents import document_of, read_document
from billing.invoicing.models import Delivery, Invoice
from billing.invoicing.results import BulkResult
from billing.invoicing.states import InvoiceState

logger = logging.getLogger(__name__)


def send_invoices(*, invoice_ids: Iterable[int], user: AbstractBaseUser | None, now: datetime) -> BulkResult:
    """Mail each issued invoice, with its document, to the customer's billing addresses.

    An invoice that is not issued or has no address is skipped, and so is one that the mail server refuses: its
    delivery keeps the error. The others go on. Run it outside a transaction: mail cannot be rolled back.
    """
    deliveries, skipped = request_deliveries(invoice_ids=invoice_ids, user=user, now=now)
    done = []
    for delivery in deliveries:
        delivered = deliver(delivery_id=delivery.pk, now=now)
        if delivered.sent_at is None:
            skipped.append((delivered.invoice, f"It could not be sent: {delivered.error} Mend that, then send again."))
        else:
            done.append(delivered.invoice)
    return BulkResult(done=done, skipped=skipped)


def request_deliveries(
    *, invoice_ids: Iterable[int], user: AbstractBaseUser | None, now: datetime
) -> tuple[list[Delivery], list[tuple[Invoice, str]]]:
    """Note which invoices are to be sent to whom, in the order of their numbers; and which cannot be, and why.

    The message id is made here, once: whoever receives an attempt twice sees that it is the same message.
    """
    wanted, skipped = [], []
    invoices = Invoice.objects.filter(pk__in=list(invoice_ids)).select_related("customer").order_by("sequence", "pk")
    for invoice in invoices:
        recipients = _recipients(invoice)
        if invoice.state != InvoiceState.ISSUED:
            skipped.append((invoice, f"It is {invoice.get_state_display().lower()}: issue it first."))
        elif not recipients:
            skipped.append((invoice, f"{invoice.customer} has no billing e-mail: add one to the customer."))
        else:
            wanted.append(
                Delivery(
                    invoice=invoice,
                    recipients=recipients,
                    message_id=f"<{uuid4()}@{_sender_address().rpartition('@')[2] or 'localhost'}>",
                    requested_by_id=user.pk if user else None,
                    requested_at=now,
                )
            )
    return Delivery.objects.bulk_create(wanted), skipped


def deliver(*, delivery_id: int, now: datetime) -> Delivery:
    """Send what a delivery stands for, unless it is sent; a failure is kept in its `error` and not raised.

    Two at once send one message: the row is locked while the mail server answers. After a crash between the server's
    answer and the commit, another try sends it again under the same message id.
    """
    with transaction.atomic():
        rows = Delivery.objects.select_for_update(of=("self",)).select_related("invoice__customer")
        delivery = rows.get(pk=delivery_id)
        if delivery.sent_at is not None:
            return delivery
        try:
            with transaction.atomic():
                content = read_document(document_of(invoice=delivery.invoice, now=now))
            message_of(delivery, content).send()
        except Exception as error:  # each mail backend has its own failures; one must not stop the other invoices
            logger.warning("Delivery %s of invoice %s failed", delivery.pk, delivery.invoice, exc_info=True)
            delivery.error = f"{type(error).__name__}: {error}".rstrip(".") + "."
        else:
            delivery.sent_at, delivery.error = now, ""
        delivery.save(update_fields=["sent_at", "error"])
    return delivery


def message_of(delivery: Delivery, content: bytes) -> EmailMultiAlternatives:
    """The e-mail: plain text and HTML of the same words, the PDF, and answers to the seller's address."""
    invoice = printed_invoice(delivery.invoice)
    seller = delivery.invoice.seller or {}
    context = {"invoice": invoice, "seller_name": seller["name"]}
    message = EmailMultiAlternatives(
        subject=f"{invoice.title} {invoice.number} from {seller['name']}",
        body=render_to_string("billing/mail/invoice.txt", context),
        from_email=formataddr((seller["name"], _sender_address())),
        to=delivery.recipients,
        reply_to=[seller["email"]],
        headers={"Message-ID": delivery.message_id},
    )
    message.attach_alternative(render_to_string("billing/mail/invoice.html", context), "text/html")
    message.attach(f"{invoice.number}.pdf", content, "application/pdf")
    return message


def _recipients(invoice: Invoice) -> list[str]:
    """The addresses copied at issue; those of today where there were none, lest the invoice can never be sent."""
    copied = (invoice.buyer or {}).get("emails") or []
    return list(dict.fromkeys(copied or invoice.customer.emails))


def _sender_address() -> str:
    """The address that our mail server may send from, without a name."""
    return parseaddr(settings.DEFAULT_FROM_EMAIL)[1]
