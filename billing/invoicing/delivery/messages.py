"""The e-mail itself: the letter of the customer's language, filled in, as plain text and HTML, with the document."""

from dataclasses import dataclass
from datetime import datetime
from email.utils import formataddr, parseaddr
from smtplib import SMTPResponseException

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.core.mail.backends.smtp import EmailBackend
from django.core.mail.message import sanitize_address
from django.db.models import F
from django.template.loader import render_to_string
from django.utils.module_loading import import_string

from billing.invoicing.delivery.letters import BUILT_IN, Letter, LetterBroken, filled
from billing.invoicing.delivery.models import Delivery, MailTemplate
from billing.invoicing.document_context import printed_invoice
from billing.invoicing.languages.labels import language_of
from billing.invoicing.models import Invoice

LINK = "billing.hosted.services.letter_link"  # the customer's page stands above invoicing


@dataclass(frozen=True, slots=True)
class Written:
    """A letter filled in, its language, and what went otherwise than it was set up (empty: nothing)."""

    letter: Letter
    language: str
    remark: str


def texts_of(invoice: Invoice, now: datetime) -> dict[str, str]:
    """The texts that a letter may name (`letters.NAMES`), of an issued invoice."""
    printed = printed_invoice(invoice)
    return {
        "title": printed.title, "number": printed.number, "period": printed.period, "total": printed.total,
        "to_pay": printed.to_pay if printed.used and not printed.nothing_due else "",
        "credit": printed.credit, "due_date": printed.due_date, "nothing_due": "yes" if printed.nothing_due else "",
        "reference": printed.payment.reference, "bank_details": "\n".join(printed.bank_details),
        "seller": (invoice.seller or {})["name"], "customer": (invoice.buyer or {})["legal_name"],
        "link": import_string(LINK)(invoice=invoice, now=now),
    }  # fmt: skip


def letter_for(invoice: Invoice, now: datetime) -> Written:
    """The seller's letter in the customer's language, else that of all sellers, else the built-in one.

    One that somebody wrote and that does not come out gives way to the built-in one, and the remark says so.
    """
    language, texts = language_of((invoice.buyer or {})["locale"]), texts_of(invoice, now)
    built_in = BUILT_IN.get(language, BUILT_IN["en"])
    own = (
        MailTemplate.objects.filter(language=language, entity=invoice.entity)
        | MailTemplate.objects.filter(language=language, entity=None)
    ).order_by(F("entity").asc(nulls_last=True)).first()  # fmt: skip
    if own is None:
        return Written(filled(built_in, texts), language, "")
    try:
        return Written(filled(Letter(own.subject, own.body), texts), language, "")
    except LetterBroken as error:
        remark = f"The letter “{own}” could not be used, the built-in one went instead. {error}"
        return Written(filled(built_in, texts), language, remark)


def message_of(delivery: Delivery, written: Written, content: bytes) -> EmailMultiAlternatives:
    """The e-mail: plain text and HTML of the same words, the PDF, and answers to the seller's address."""
    seller = delivery.invoice.seller or {}
    message = EmailMultiAlternatives(
        subject=written.letter.subject,
        body=written.letter.body,
        from_email=formataddr((seller["name"], sender_address())),
        to=delivery.recipients,
        cc=delivery.cc,
        bcc=delivery.bcc,
        reply_to=[seller["email"]],
        headers={"Message-ID": delivery.message_id},
    )
    message.attach_alternative(html_of(written.letter, written.language), "text/html")
    message.attach(f"{delivery.invoice.number}.pdf", content, "application/pdf")
    return message


def html_of(letter: Letter, language: str) -> str:
    """The letter as a page: its lines as they stand, everything escaped."""
    return render_to_string("billing/mail/letter.html", {"letter": letter, "language": language})


def hand_over(message: EmailMultiAlternatives) -> dict[str, str]:
    """Give the message to the mail server; the addresses that it refused while it took others, with its reason.

    Django's own backend drops those refusals. Raises what the backend raises when nobody gets it.
    """
    connection = get_connection()
    if not isinstance(connection, EmailBackend):
        connection.send_messages([message])
        return {}
    connection.open()
    try:
        assert connection.connection is not None
        sender = sanitize_address(message.from_email, message.encoding or settings.DEFAULT_CHARSET)
        refused = connection.connection.sendmail(
            parseaddr(sender)[1],
            message.recipients(),
            message.message().as_bytes(linesep="\r\n"),  # type: ignore[call-arg]  # as Django's own has it
        )
    finally:
        connection.close()
    return reasons(refused)


def reasons(refused: dict[str, tuple[int, bytes]]) -> dict[str, str]:
    """What smtplib tells of refused addresses, as texts: “550 no such user”."""
    return {address: f"{code} {text.decode('utf-8', 'replace')}" for address, (code, text) in refused.items()}


def for_ever(error: Exception) -> bool:
    """Whether the mail server says that trying again is of no use: every address, or the message, refused with 5xx."""
    refused = getattr(error, "recipients", None)
    if isinstance(refused, dict):
        return all(code >= 500 for code, _ in refused.values())
    return isinstance(error, SMTPResponseException) and error.smtp_code >= 500


def sender_address() -> str:
    """The address that our mail server may send from, without a name."""
    return parseaddr(settings.DEFAULT_FROM_EMAIL)[1]
