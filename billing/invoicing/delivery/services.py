"""Issued invoices to their customers by e-mail, each with its outcome kept, tried again while that may help."""

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from smtplib import SMTPRecipientsRefused
from uuid import uuid4

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from billing.invoicing.background import enqueue
from billing.invoicing.delivery.bounces import Bounce, NoBounce
from billing.invoicing.delivery.letters import Letter, check
from billing.invoicing.delivery.messages import for_ever, hand_over, letter_for, message_of, reasons, sender_address
from billing.invoicing.delivery.models import Delivery, MailTemplate
from billing.invoicing.delivery.states import DeliveryState, next_try
from billing.invoicing.documents import document_of, read_document
from billing.invoicing.errors import InvoicingError
from billing.invoicing.models import Invoice
from billing.invoicing.results import BulkResult
from billing.invoicing.states import InvoiceState
from customers.models import LegalEntity

logger = logging.getLogger(__name__)

AGAIN_AFTER = timedelta(minutes=1)
"""Within this time a second request is taken for the same button pressed twice."""


def send_invoices(
    *, invoice_ids: Iterable[int], user: AbstractBaseUser | None, now: datetime, to: Sequence[str] = ()
) -> BulkResult:
    """Mail each issued invoice, with its document, to the customer's billing addresses, or to those of `to`.

    An invoice that is not issued or has no address is skipped, and so is one that the mail server refuses: its
    delivery keeps the error. The others go on. Run it outside a transaction: mail cannot be rolled back.
    """
    deliveries, skipped = request_deliveries(invoice_ids=invoice_ids, user=user, now=now, to=to)
    done = []
    for delivery in deliveries:
        delivered = deliver(delivery_id=delivery.pk, now=now)
        if delivered.sent_at is not None:
            done.append(delivered.invoice)
        elif delivered.state == DeliveryState.WAITING:
            again = f"It is tried again by itself from {delivered.next_try_at:%H:%M} UTC."
            skipped.append((delivered.invoice, f"It could not be sent: {delivered.error} {again}"))
        else:
            skipped.append((delivered.invoice, f"It could not be sent: {delivered.error} Mend that, then send again."))
    return BulkResult(done=done, skipped=skipped)


@transaction.atomic
def request_deliveries(
    *, invoice_ids: Iterable[int], user: AbstractBaseUser | None, now: datetime, send_at: datetime | None = None,
    to: Sequence[str] = (),
) -> tuple[list[Delivery], list[tuple[Invoice, str]]]:  # fmt: skip
    """Note which invoices are to be sent to whom, in the order of their numbers; and which cannot be, and why.

    The message id is made here, once: whoever receives an attempt twice sees that it is the same message. What is on
    its way, or was asked for within a minute, is not asked for twice. `send_at` (aware UTC): not before that.
    `to`: not to the addresses copied at issue but to these.
    """
    invoices = list(
        Invoice.objects.filter(pk__in=list(invoice_ids))
        .select_related("customer").order_by("sequence", "pk").select_for_update(of=("self",))
    )  # fmt: skip
    recent = Delivery.objects.filter(invoice__in=invoices)
    waiting = set(recent.filter(state=DeliveryState.WAITING).values_list("invoice_id", flat=True))
    just_now = set(
        recent.filter(state=DeliveryState.SENT, requested_at__gt=now - AGAIN_AFTER).values_list("invoice_id", flat=True)
    )
    wanted, skipped = [], []
    for invoice in invoices:
        if invoice.state != InvoiceState.ISSUED:
            way_out = "send its reversal" if invoice.state == InvoiceState.VOID else "issue it first"
            skipped.append((invoice, f"It is {invoice.get_state_display().lower()}: {way_out}."))
        elif not (to or _recipients(invoice)):
            skipped.append((invoice, f"{invoice.customer} has no billing e-mail: add one to the customer."))
        elif invoice.pk in waiting:
            skipped.append((invoice, "It is on its way already: see its e-mails."))
        elif invoice.pk in just_now:
            skipped.append((invoice, "It was sent less than a minute ago: wait a minute to send it once more."))
        else:
            wanted.append(_asked(invoice, to or _recipients(invoice), user, now, send_at or now))
    return Delivery.objects.bulk_create(wanted), skipped


def queue_deliveries(
    *, invoice_ids: Iterable[int], user: AbstractBaseUser | None, now: datetime, send_at: datetime | None = None
) -> BulkResult:
    """Leave mails to the worker, at once or from `send_at` (aware UTC) on; skipped as `request_deliveries` says."""
    deliveries, skipped = request_deliveries(invoice_ids=invoice_ids, user=user, now=now, send_at=send_at)
    if send_at is None or send_at <= now:
        for each in deliveries:
            enqueue("billing.invoicing.tasks.deliver", each.pk)
    return BulkResult(done=[each.invoice for each in deliveries], skipped=skipped)


def send_issued(*, invoices: Iterable[Invoice], user: AbstractBaseUser | None, now: datetime) -> None:
    """Ask for the e-mails of invoices that were just issued, where their seller sends by itself.

    One without an address waits for somebody who adds it and sends it: its page says that it was not sent.
    """
    by_days: dict[int, list[int]] = defaultdict(list)
    for invoice in invoices:
        if invoice.entity.send_after_days is not None:
            by_days[invoice.entity.send_after_days].append(invoice.pk)
    for days, ids in by_days.items():
        queue_deliveries(invoice_ids=ids, user=user, now=now, send_at=now + timedelta(days) if days else None)


def deliver(*, delivery_id: int, now: datetime) -> Delivery:
    """Send what a delivery stands for, unless it is sent or given up; a failure is kept in it and not raised.

    Two at once send one message: the row is locked while the mail server answers. After a crash between the server's
    answer and the commit, another try sends it again under the same message id.
    """
    with transaction.atomic():
        rows = Delivery.objects.select_for_update(of=("self",)).select_related("invoice__customer", "invoice__entity")
        delivery = rows.get(pk=delivery_id)
        if delivery.state == DeliveryState.WAITING:
            _try(delivery, now)
            delivery.save()
    return delivery


def due_deliveries(*, now: datetime) -> list[int]:
    """The deliveries that wait and are due, the longest waiting first."""
    due = Delivery.objects.filter(state=DeliveryState.WAITING, next_try_at__lte=now)
    return list(due.order_by("next_try_at", "pk").values_list("pk", flat=True))


def give_up(*, delivery_id: int, now: datetime) -> Delivery:
    """Take back a message that waits: it is not sent. One that does not wait stays as it is."""
    with transaction.atomic():
        delivery = Delivery.objects.select_for_update().get(pk=delivery_id)
        if delivery.state == DeliveryState.WAITING:
            delivery.state, delivery.remark = DeliveryState.FAILED, f"Taken back {now:%Y-%m-%d %H:%M} UTC."
            delivery.save(update_fields=["state", "remark"])
    return delivery


def take_bounce(*, bounce: Bounce) -> Delivery:
    """Keep that a message came back, from whom and why. NoBounce where no such message was sent.

    The same report twice is the same as once.
    """
    with transaction.atomic():
        sent = Delivery.objects.filter(state__in=[DeliveryState.SENT, DeliveryState.BOUNCED])
        rows = sent.select_related("invoice").select_for_update(of=("self",))
        delivery = rows.filter(message_id=bounce.message_id).first()
        if delivery is None:
            raise NoBounce(f"No invoice was sent as {bounce.message_id}.")
        delivery.state = DeliveryState.BOUNCED
        delivery.refused |= bounce.reasons
        delivery.save(update_fields=["state", "refused"])
    return delivery


def write_letter(
    *, template: MailTemplate | None = None, entity: LegalEntity | None, language: str, subject: str, body: str,
    user: AbstractBaseUser | None, now: datetime,
) -> MailTemplate:  # fmt: skip
    """Write a letter anew, or change `template`. LetterBroken where it does not come out for an example."""
    check(Letter(subject, body))
    row = template or MailTemplate()
    row.entity, row.language, row.subject, row.body = entity, language, subject, body
    row.changed_at, row.changed_by_id = now, user.pk if user else None
    row.save()
    return row


def _asked(
    invoice: Invoice, to: Sequence[str], user: AbstractBaseUser | None, now: datetime, send_at: datetime
) -> Delivery:
    """A message that waits, with its addresses and its id."""
    cc = [each for each in dict.fromkeys(invoice.customer.copy_emails) if each not in to]
    bcc = [each for each in dict.fromkeys(invoice.customer.hidden_copy_emails) if each not in (*to, *cc)]
    return Delivery(
        invoice=invoice, recipients=list(to), cc=cc, bcc=bcc, requested_by_id=user.pk if user else None,
        requested_at=now, next_try_at=send_at,
        message_id=f"<{uuid4()}@{sender_address().rpartition('@')[2] or 'localhost'}>",
    )  # fmt: skip


def _try(delivery: Delivery, now: datetime) -> None:
    """One attempt, its outcome set on the row."""
    delivery.attempts += 1
    try:
        with transaction.atomic():
            content = read_document(document_of(invoice=delivery.invoice, now=now))
            written = letter_for(delivery.invoice, now)
        delivery.refused = hand_over(message_of(delivery, written, content))
    except Exception as error:  # each mail backend has its own failures; one must not stop the other invoices
        logger.warning("Delivery %s of invoice %s failed", delivery.pk, delivery.invoice, exc_info=True)
        _failed(delivery, error, now)
    else:
        delivery.state, delivery.sent_at, delivery.error = DeliveryState.SENT, now, ""
        delivery.remark = written.remark


def _failed(delivery: Delivery, error: Exception, now: datetime) -> None:
    """Keep the failure, and when to try again: never, where only a person can mend it."""
    if isinstance(error, SMTPRecipientsRefused):
        delivery.refused = reasons(error.recipients)
        delivery.error = "The mail server refused every address."
    else:
        delivery.error = f"{type(error).__name__}: {error}".rstrip(".") + "."
    mendable = isinstance(error, InvoicingError) or for_ever(error)
    again = None if mendable else next_try(delivery.attempts, now)
    if again is None:
        delivery.state = DeliveryState.FAILED
    else:
        delivery.next_try_at = again


def _recipients(invoice: Invoice) -> list[str]:
    """The addresses copied at issue; those of today where there were none, lest the invoice can never be sent."""
    copied = (invoice.buyer or {}).get("emails") or []
    return list(dict.fromkeys(copied or invoice.customer.emails))
