"""Links for customers: make, open, revoke. Questions: ask, answer, settle."""

import secrets
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final, cast

from django.contrib.auth.models import AbstractBaseUser
from django.core import signing
from django.db import transaction
from django.db.models import F

from billing.hosted.errors import LinkAltered, LinkOver, NoSuchMove, NotHosted, TooManyQuestions
from billing.hosted.models import SALT, Dispute, HostedLink
from billing.hosted.states import DisputeState
from billing.invoicing.background import enqueue
from billing.invoicing.models import Invoice, InvoiceLine
from billing.invoicing.snapshots import Buyer, Seller
from billing.invoicing.states import NUMBERED

VALID_DAYS: Final = 90
AN_HOUR: Final = 10
"""Questions that one link takes within an hour."""
User = AbstractBaseUser | None


def make_link(*, invoice: Invoice, user: User, now: datetime, days: int = VALID_DAYS) -> HostedLink:
    """A new link, valid for some days. NotHosted unless the document is issued."""
    if invoice.state not in NUMBERED:
        raise NotHosted(invoice)
    return HostedLink.objects.create(
        invoice=invoice, code=secrets.token_urlsafe(24), created_at=now, created_by_id=user.pk if user else None,
        expires_at=now + timedelta(days=days),
    )  # fmt: skip


def letter_link(*, invoice: Invoice, now: datetime) -> str:
    """The address that a letter names: of the newest link that holds for another month, else of a new one.

    Empty where PUBLIC_URL is not set: nobody would reach it.
    """
    lasting = HostedLink.objects.filter(invoice=invoice, revoked_at=None, expires_at__gt=now + timedelta(days=30))
    link: HostedLink | None = lasting.first()
    address = (link or HostedLink(code="-")).address
    return (link or make_link(invoice=invoice, user=None, now=now)).address if address else ""


def revoke(*, link_id: int, user: User, now: datetime) -> None:
    """From now on the link opens nothing; once, whoever presses how often."""
    HostedLink.objects.filter(pk=link_id, revoked_at=None).update(
        revoked_at=now, revoked_by_id=user.pk if user else None
    )


def opened(*, token: str, now: datetime) -> HostedLink:
    """The link behind a signed token. LinkAltered, or LinkOver when it expired or was revoked."""
    try:
        code = signing.Signer(salt=SALT).unsign(token)
    except signing.BadSignature as error:
        raise LinkAltered from error
    link = HostedLink.objects.select_related("invoice__entity", "invoice__customer").filter(code=code).first()
    if link is None:
        raise LinkAltered
    over = "been revoked" if link.revoked_at else "expired" if link.expires_at <= now else ""
    if over:
        buyer, seller = cast(Buyer, link.invoice.buyer), cast(Seller, link.invoice.seller)
        raise LinkOver(over, buyer["locale"], seller["name"])
    return link


def seen(*, link: HostedLink, now: datetime) -> None:
    """Count that the invoice was opened."""
    HostedLink.objects.filter(pk=link.pk).update(views=F("views") + 1, seen_at=now)


def ask(*, link: HostedLink, line: InvoiceLine, name: str, email: str, question: str, now: datetime) -> Dispute:
    """Keep a question about a line, and tell finance; the same one sent again is the same one.

    TooManyQuestions beyond AN_HOUR by one link.
    """
    said = "\n".join((str(link.pk), str(line.pk), email.strip().lower(), " ".join(question.split())))
    digest = sha256(said.encode()).hexdigest()
    with transaction.atomic():
        HostedLink.objects.select_for_update().get(pk=link.pk)  # one after the other, so that the count holds
        if there := Dispute.objects.filter(digest=digest).first():
            return there
        if link.disputes.filter(asked_at__gt=now - timedelta(hours=1)).count() >= AN_HOUR:
            raise TooManyQuestions
        made = Dispute.objects.create(
            line=line, link=link, name=name.strip(), email=email.strip(), question=question.strip(), asked_at=now,
            digest=digest,
        )  # fmt: skip
        enqueue("billing.hosted.tasks.tell_finance", made.pk)
    return made


def answer(*, dispute_id: int, text: str, user: User, now: datetime) -> Dispute:
    """Answer once, on the page of the invoice and by e-mail where one was left. NoSuchMove otherwise."""
    with transaction.atomic():
        found = _held(dispute_id, text, DisputeState.OPEN, "answered")
        found.state, found.answer, found.answered_at = DisputeState.ANSWERED, text.strip(), now
        found.answered_by_id = user.pk if user else None
        found.save(update_fields=["state", "answer", "answered_at", "answered_by"])
        if found.email:
            enqueue("billing.hosted.tasks.tell_customer", found.pk)
    return found


def settle(*, dispute_id: int, outcome: str, user: User, now: datetime) -> Dispute:
    """Say what came of it, for colleagues. NoSuchMove where it is settled already."""
    with transaction.atomic():
        found = _held(dispute_id, outcome, DisputeState.SETTLED, "settled")
        found.state, found.outcome, found.settled_at = DisputeState.SETTLED, outcome.strip(), now
        found.settled_by_id = user.pk if user else None
        found.save(update_fields=["state", "outcome", "settled_at", "settled_by"])
    return found


def _held(dispute_id: int, text: str, wanted: DisputeState, verb: str) -> Dispute:
    """The dispute under its lock, where it may be answered or settled with this text."""
    found = Dispute.objects.select_for_update().get(pk=dispute_id)
    may = found.state == DisputeState.OPEN or (found.state == DisputeState.ANSWERED and wanted == DisputeState.SETTLED)
    if not may:
        raise NoSuchMove(f"This question is {found.get_state_display().lower()} already: it is {verb} once.")
    if not text.strip():
        raise NoSuchMove(f"Write something: a question is {verb} in words.")
    return found
