"""Mails about questions: to finance when one comes in, to the customer when it is answered."""

from django.conf import settings
from django.core.mail import EmailMessage

from billing.hosted.models import Dispute
from billing.hosted.words import words_of


def tell_finance(dispute_id: int) -> None:
    """Tell DISPUTE_EMAILS, or else the seller's own address, what was asked about which line."""
    found = _found(dispute_id)
    invoice = found.line.invoice
    body = (
        f"{found.name} asks about {invoice}, line {found.line.position} ({found.line.description}):\n\n"
        f"{found.question}\n\nAnswer it in the admin, under Disputes."
    )
    EmailMessage(
        f"Question about {invoice}, line {found.line.position}", body,
        to=settings.DISPUTE_EMAILS or [invoice.entity.email], reply_to=[found.email] if found.email else None,
    ).send()  # fmt: skip


def tell_customer(dispute_id: int) -> None:
    """Mail the answer to the address that was left with the question, in the customer's language."""
    found = _found(dispute_id)
    invoice, words = found.line.invoice, words_of((found.line.invoice.buyer or {})["locale"])
    lines = [found.answer, "", f"> {found.question}", "", found.link.address, (invoice.seller or {})["name"]]
    subject = words["answer_subject"].format(number=invoice.number, line=found.line.position)
    EmailMessage(subject, "\n".join(lines), to=[found.email], reply_to=[invoice.entity.email]).send()


def _found(dispute_id: int) -> Dispute:
    return Dispute.objects.select_related("line__invoice__entity", "link").get(pk=dispute_id)
