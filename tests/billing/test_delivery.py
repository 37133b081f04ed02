"""Invoices by e-mail: what arrives, whom it skips and why, and what is kept when a mail server fails."""

import socket
import threading
from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.db import connection

from billing.invoicing import tasks
from billing.invoicing.delivery import deliver, request_deliveries, send_invoices
from billing.invoicing.documents import read_document
from billing.invoicing.models import Delivery, Invoice, InvoiceDocument
from tests.billing.issued import NOW, Line, make_contract, make_invoice, make_issued


@pytest.fixture(autouse=True)
def _documents(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    settings.DEFAULT_FROM_EMAIL = "Billing <billing@meterbook.example>"


@pytest.mark.django_db
def test_it_works():
    invoice = make_issued(customer__emails=["ap@acme.example", "cfo@acme.example"])
    user = User.objects.get(username="finance")
    result = send_invoices(invoice_ids=[invoice.pk], user=user, now=NOW)
    assert (result.done, result.skipped) == ([invoice], [])
    assert result.total_by_currency() == {"USD": Decimal("100")}
    (message,) = mail.outbox
    assert message.to == ["ap@acme.example", "cfo@acme.example"]
    assert message.reply_to == ["billing@miernik.example"]
    assert message.from_email.endswith("<billing@meterbook.example>")
    assert message.subject == "Invoice INV-000001 from Miernik Łódź Sp. z o.o."
    for words in ("USD 100.00", "31 Dec 2023", "1–30 Nov 2023", "IBAN PL61", "Reference:    INV-000001"):
        assert words in message.body
    html, kind = message.alternatives[0]
    assert kind == "text/html"
    assert "USD 100.00" in html
    name, content, kind = message.attachments[0]
    assert (name, kind) == ("INV-000001.pdf", "application/pdf")
    assert content == read_document(InvoiceDocument.objects.get(invoice=invoice))
    delivery = Delivery.objects.get()
    assert message.extra_headers["Message-ID"] == delivery.message_id
    assert message.message()["Message-ID"] == delivery.message_id
    assert (delivery.sent_at, delivery.error, delivery.requested_by) == (NOW, "", user)


@pytest.mark.django_db
def test_a_draft_and_a_customer_without_address_are_skipped_with_a_sentence():
    draft = make_invoice(make_contract("C-1"), [Line("Tokens", "1.00")], state="draft")
    silent = make_issued(number="C-2", customer__emails=[], customer__legal_name="Silent Ltd")
    good = make_issued(number="C-3")
    result = send_invoices(invoice_ids=[draft.pk, silent.pk, good.pk], user=None, now=NOW)
    assert result.done == [good]
    assert result.skipped == [
        (silent, "Silent Ltd has no billing e-mail: add one to the customer."),
        (draft, "It is draft: issue it first."),
    ]
    assert Delivery.objects.count() == len(mail.outbox) == 1


@pytest.mark.django_db
def test_an_address_added_after_the_issue_is_used_where_none_was_copied():
    invoice = make_issued(customer__emails=[])
    invoice.customer.emails = ["late@acme.example"]
    invoice.customer.save()
    assert send_invoices(invoice_ids=[invoice.pk], user=None, now=NOW).done == [invoice]
    assert mail.outbox[0].to == ["late@acme.example"]


@pytest.mark.django_db
def test_a_failing_mail_server_is_kept_and_stops_nothing(settings):
    invoices = [make_issued(number="C-1"), make_issued(number="C-2")]
    with socket.create_server(("127.0.0.1", 0)) as free:
        settings.EMAIL_PORT = free.getsockname()[1]
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"  # and nobody listens at that port
    settings.EMAIL_HOST = "127.0.0.1"
    result = send_invoices(invoice_ids=[each.pk for each in invoices], user=None, now=NOW)
    assert result.done == []
    assert [invoice for invoice, _ in result.skipped] == invoices
    assert all("It could not be sent: ConnectionRefusedError" in reason for _, reason in result.skipped)
    assert {(each.sent_at, each.error[:23]) for each in Delivery.objects.all()} == {(None, "ConnectionRefusedError:")}


@pytest.mark.django_db
def test_a_failed_delivery_is_sent_later_under_the_same_message_id(settings):
    invoice = make_issued()
    (delivery,), _ = request_deliveries(invoice_ids=[invoice.pk], user=None, now=NOW)
    backend, settings.EMAIL_BACKEND = settings.EMAIL_BACKEND, "no.such.backend"
    assert deliver(delivery_id=delivery.pk, now=NOW).error.startswith("ModuleNotFoundError:")
    settings.EMAIL_BACKEND = backend
    sent = deliver(delivery_id=delivery.pk, now=NOW + timedelta(hours=1))
    assert (sent.sent_at, sent.error) == (NOW + timedelta(hours=1), "")
    assert mail.outbox[0].extra_headers["Message-ID"] == delivery.message_id
    deliver(delivery_id=delivery.pk, now=NOW + timedelta(hours=2))
    assert len(mail.outbox) == 1


@pytest.mark.django_db
def test_an_invoice_that_cannot_be_drawn_is_skipped_with_the_reason():
    invoice, good = make_issued(number="C-1", customer__legal_name="서울"), make_issued(number="C-2")
    result = send_invoices(invoice_ids=[invoice.pk, good.pk], user=None, now=NOW)
    assert result.done == [good]
    ((skipped, reason),) = result.skipped
    assert skipped == invoice
    assert "cannot draw “서” (U+C11C)" in reason


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_send_one_message():
    (delivery,), _ = request_deliveries(invoice_ids=[make_issued().pk], user=None, now=NOW)
    start = threading.Barrier(2)

    def work() -> None:
        start.wait()
        deliver(delivery_id=delivery.pk, now=NOW)
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(mail.outbox) == 1


@pytest.mark.django_db
def test_nothing_to_pay_is_said_without_bank_details():
    invoice = make_issued("0.00")
    send_invoices(invoice_ids=[invoice.pk], user=None, now=NOW)
    assert "Nothing is to be paid" in mail.outbox[0].body
    assert "IBAN" not in mail.outbox[0].body


@pytest.mark.django_db
def test_names_are_plain_in_text_and_escaped_in_html():
    invoice = make_issued(entity__name="Fish & <b>Chips</b> Ltd")
    send_invoices(invoice_ids=[invoice.pk], user=None, now=NOW)
    assert "Fish & <b>Chips</b> Ltd" in mail.outbox[0].body
    assert "Fish &amp; &lt;b&gt;Chips&lt;/b&gt; Ltd" in mail.outbox[0].alternatives[0][0]


@pytest.mark.django_db
def test_a_task_draws_and_sends_by_id():
    invoice = make_issued()
    (delivery,), _ = request_deliveries(invoice_ids=[invoice.pk], user=None, now=NOW)
    tasks.deliver(delivery.pk)
    assert Delivery.objects.get().sent_at is not None
    assert Invoice.objects.get(pk=invoice.pk).document.pages == 1
