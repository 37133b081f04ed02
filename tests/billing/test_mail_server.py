"""E-mail against a real mail server: one that refuses an address, all of them, is down, or sends back."""

import asyncio
import os
import signal
import socket
from datetime import timedelta
from email import message_from_bytes, policy
from io import BytesIO, TextIOWrapper

import pytest
from aiosmtpd.controller import Controller
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction

from billing.invoicing import tasks
from billing.invoicing.delivery.bounces import Bounce, NoBounce
from billing.invoicing.delivery.models import Delivery
from billing.invoicing.delivery.services import (
    deliver,
    due_deliveries,
    give_up,
    request_deliveries,
    send_invoices,
    take_bounce,
)
from billing.invoicing.delivery.states import BACKOFF, DeliveryState
from tests.billing.issued import NOW, make_issued

pytestmark = pytest.mark.django_db
REPORT = """\
From: mailer-daemon@mx.example
To: billing@meterbook.example
Subject: Undelivered
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

It came back.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example

Final-Recipient: rfc822; ap@acme.example
Action: {action}
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 no such mailbox

--b
Content-Type: text/rfc822-headers

Message-ID: {message_id}
Subject: Invoice

--b--
"""


class Server:
    """Takes mail, but not for the addresses of `no`, `slow` seconds late; kills who sends where `kills` names them."""

    def __init__(self) -> None:
        self.mails: list = []
        self.no: set[str] = set()
        self.slow = 0.0
        self.kills = 0

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address in self.no:
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        self.mails.append((envelope.rcpt_tos, message_from_bytes(envelope.content, policy=policy.default)))
        if self.kills:
            os.kill(self.kills, signal.SIGKILL)
        await asyncio.sleep(self.slow)
        return "250 OK"


@pytest.fixture
def server(settings, tmp_path):
    """A mail server, and the settings that lead to it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings.MEDIA_ROOT, settings.EMAIL_HOST, settings.EMAIL_PORT = tmp_path, "127.0.0.1", port
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    handler = Server()
    running = Controller(handler, hostname="127.0.0.1", port=port)
    handler.controller = running
    running.start()
    yield handler
    if running.server is not None:
        running.stop()


def _send(invoice):
    send_invoices(invoice_ids=[invoice.pk], user=None, now=NOW)
    return Delivery.objects.get()


def _invoice(**changes):
    invoice = make_issued(**changes)
    customer = invoice.customer
    customer.copy_emails, customer.hidden_copy_emails = ["cfo@acme.example"], ["archive@acme.example"]
    customer.save()
    return invoice


def test_copies_go_out_and_hidden_ones_are_not_told(server):
    delivery = _send(_invoice())
    ((to, message),) = server.mails
    assert to == ["ap@acme.example", "cfo@acme.example", "archive@acme.example"]
    assert (message["To"], message["Cc"], message["Bcc"]) == ("ap@acme.example", "cfo@acme.example", None)
    assert message["Message-ID"] == delivery.message_id
    assert (delivery.state, delivery.attempts, delivery.refused) == (DeliveryState.SENT, 1, {})


def test_one_refused_address_is_kept_and_the_others_get_the_mail(server):
    server.no = {"cfo@acme.example"}
    delivery = _send(_invoice())
    assert server.mails[0][0] == ["ap@acme.example", "archive@acme.example"]
    assert delivery.state == DeliveryState.SENT
    assert delivery.refused == {"cfo@acme.example": "550 no such mailbox"}


def test_a_mail_that_every_address_refuses_is_not_tried_again(server):
    server.no = {"ap@acme.example"}
    delivery = _send(make_issued())
    assert (delivery.state, delivery.sent_at) == (DeliveryState.FAILED, None)
    assert delivery.error == "The mail server refused every address."
    assert delivery.refused == {"ap@acme.example": "550 no such mailbox"}
    assert due_deliveries(now=NOW + timedelta(days=30)) == []


def test_a_mail_server_that_is_down_is_tried_again_later_and_later_and_then_given_up(server):
    server.controller.stop()
    delivery, now = _send(make_issued()), NOW
    for attempts, wait in enumerate(BACKOFF, start=1):
        assert (delivery.state, delivery.attempts) == (DeliveryState.WAITING, attempts)
        assert delivery.next_try_at == now + wait
        assert due_deliveries(now=now + wait - timedelta(seconds=1)) == []
        now += wait
        assert due_deliveries(now=now) == [delivery.pk]
        delivery = deliver(delivery_id=delivery.pk, now=now)
    assert (delivery.state, delivery.attempts) == (DeliveryState.FAILED, len(BACKOFF) + 1)
    assert "ConnectionRefusedError" in delivery.error


def test_a_worker_that_died_before_its_record_sends_again_under_the_same_id(server, monkeypatch):
    (delivery,), _ = request_deliveries(invoice_ids=[make_issued().pk], user=None, now=NOW)
    with pytest.raises(KeyboardInterrupt), transaction.atomic():  # noqa: PT012
        deliver(delivery_id=delivery.pk, now=NOW)
        raise KeyboardInterrupt  # the mail server has answered, the commit does not come
    assert Delivery.objects.get().state == DeliveryState.WAITING
    monkeypatch.setattr("config.clock.now", lambda: NOW)
    assert (tasks.post(), tasks.post()) == (1, 0)
    assert [message["Message-ID"] for _, message in server.mails] == [delivery.message_id] * 2


@pytest.mark.django_db(transaction=True)
def test_a_worker_killed_after_the_server_took_the_mail_sends_again_under_the_same_id(server):
    (delivery,), _ = request_deliveries(invoice_ids=[make_issued().pk], user=None, now=NOW)
    ready, go = os.pipe()
    worker = os.fork()
    if not worker:  # pragma: no cover - dies on the way
        connection.connection = None  # the parent's
        os.read(ready, 1)
        deliver(delivery_id=delivery.pk, now=NOW)
        os._exit(1)
    server.kills = worker
    os.write(go, b".")
    assert os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]) == -signal.SIGKILL
    server.kills = 0
    assert Delivery.objects.get().state == DeliveryState.WAITING
    assert deliver(delivery_id=delivery.pk, now=NOW).state == DeliveryState.SENT
    assert [message["Message-ID"] for _, message in server.mails] == [delivery.message_id] * 2


def test_a_server_too_slow_to_answer_is_tried_again_under_the_same_id(server, settings):
    settings.EMAIL_TIMEOUT, server.slow = 0.2, 0.5
    delivery = _send(make_issued())
    assert delivery.state == DeliveryState.WAITING
    assert "timed out" in delivery.error
    server.slow = 0
    again = deliver(delivery_id=delivery.pk, now=NOW + BACKOFF[0])
    assert (again.state, again.error) == (DeliveryState.SENT, "")
    assert {message["Message-ID"] for _, message in server.mails} == {delivery.message_id}


@pytest.mark.parametrize(
    ("locale", "subject", "hello"),
    [
        ("en-GB", "Invoice INV-000001 from Miernik Łódź Sp. z o.o.", "please find attached invoice INV-000001"),
        ("de-AT", "Rechnung INV-000001 von Miernik Łódź Sp. z o.o.", "anbei erhalten Sie: Rechnung INV-000001"),
        ("fr-CH", "Facture INV-000001 de Miernik Łódź Sp. z o.o.", "veuillez trouver ci-joint : Facture INV-000001"),
        ("ja-JP", "請求書 INV-000001（Miernik Łódź Sp. z o.o.）", "Acme Inc. 御中"),
    ],
)
def test_each_language_arrives_whole_as_text_and_as_a_page(server, locale, subject, hello):
    _send(make_issued(customer__locale=locale))
    ((_, message),) = server.mails
    assert message["Subject"].strip() == subject  # a long one begins on a line of its own
    text, page = (message.get_body((kind,)).get_content() for kind in ("plain", "html"))
    assert hello in text
    assert hello in page
    assert f'lang="{locale[:2]}"' in page


def test_what_is_on_its_way_or_was_just_sent_is_not_asked_for_twice(server):
    invoice = make_issued()
    (delivery,), _ = request_deliveries(invoice_ids=[invoice.pk], user=None, now=NOW)
    made, ((_, reason),) = request_deliveries(invoice_ids=[invoice.pk], user=None, now=NOW)
    assert (made, reason) == ([], "It is on its way already: see its e-mails.")
    deliver(delivery_id=delivery.pk, now=NOW)
    made, ((_, reason),) = request_deliveries(invoice_ids=[invoice.pk], user=None, now=NOW + timedelta(seconds=59))
    assert (made, reason[:37]) == ([], "It was sent less than a minute ago: w")
    again = send_invoices(invoice_ids=[invoice.pk], user=None, now=NOW + timedelta(minutes=1))
    assert again.done == [invoice]
    assert len({message["Message-ID"] for _, message in server.mails}) == 2


def test_the_database_keeps_one_waiting_message_an_invoice():
    invoice = make_issued()
    request_deliveries(invoice_ids=[invoice.pk], user=None, now=NOW)
    with pytest.raises(IntegrityError, match="delivery_once"), transaction.atomic():
        Delivery.objects.create(
            invoice=invoice, recipients=["a@b.example"], message_id="<2@x>", requested_at=NOW, next_try_at=NOW
        )


def test_what_is_to_be_sent_later_waits_for_its_time_and_can_be_taken_back(server):
    later = NOW + timedelta(days=3)
    (delivery,), _ = request_deliveries(invoice_ids=[make_issued().pk], user=None, now=NOW, send_at=later)
    assert due_deliveries(now=later - timedelta(seconds=1)) == []
    assert due_deliveries(now=later) == [delivery.pk]
    assert give_up(delivery_id=delivery.pk, now=NOW).state == DeliveryState.FAILED
    assert deliver(delivery_id=delivery.pk, now=later).sent_at is None
    assert server.mails == []


def _stdin(monkeypatch, text):
    monkeypatch.setattr("sys.stdin", TextIOWrapper(BytesIO(text.encode())))


def test_a_report_of_mail_that_came_back_marks_its_message(server, monkeypatch, capsys):
    delivery = _send(make_issued())
    _stdin(monkeypatch, REPORT.format(action="failed", message_id=delivery.message_id))
    call_command("take_bounce")
    delivery.refresh_from_db()
    assert delivery.state == DeliveryState.BOUNCED
    assert delivery.refused == {"ap@acme.example": "550 5.1.1 no such mailbox"}
    assert "came back from ap@acme.example" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("Subject: Hello\n\nHello", "no report of mail that came back"),
        (REPORT.format(action="delayed", message_id="<1@x>"), "no report of mail that came back"),
        (REPORT.format(action="failed", message_id=""), "does not say which message"),
        (REPORT.format(action="failed", message_id="<1@x>"), "No invoice was sent as <1@x>"),
    ],
)
def test_what_is_no_report_of_ours_is_refused_with_a_sentence(monkeypatch, text, sentence):
    _stdin(monkeypatch, text)
    with pytest.raises(CommandError, match=sentence):
        call_command("take_bounce")


def test_a_message_that_was_not_sent_cannot_come_back():
    (delivery,), _ = request_deliveries(invoice_ids=[make_issued().pk], user=None, now=NOW)
    with pytest.raises(NoBounce, match="No invoice was sent as"):
        take_bounce(bounce=Bounce(delivery.message_id, {"a@b.example": "x"}))
