"""Documents drawn by the worker: every issued invoice gets one, whatever fails on the way."""

import os
import resource
import signal
import time
from datetime import timedelta

import pytest
from django.db import connection

from billing.invoicing.documents import document_of, read_document
from billing.invoicing.drawing import tasks
from billing.invoicing.drawing.models import WaitingDocument
from billing.invoicing.drawing.services import LEASE, draw_waiting, want
from billing.invoicing.models import InvoiceDocument
from tests import factories
from tests.billing.issued import NOW, Line, make_contract, make_invoice, make_issued


@pytest.fixture(autouse=True)
def _documents(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path


def draw_at(moment=NOW):
    return draw_waiting(clock=lambda: moment)


@pytest.mark.django_db
def test_an_issued_invoice_waits_for_its_document_and_the_worker_draws_it():
    contract = factories.make_contract()
    factories.make_subscription(contract)
    (invoice,) = factories.bill_and_issue("2023-11-01", contract, now=NOW)
    assert WaitingDocument.objects.get().invoice == invoice
    assert tasks.draw() == "1 documents drawn, 0 to be tried again"
    assert InvoiceDocument.objects.get().invoice == invoice
    assert not WaitingDocument.objects.exists()
    assert draw_at() == (0, 0)


@pytest.mark.django_db
def test_a_document_that_somebody_opened_first_waits_no_more():
    invoice = make_issued()
    want(invoice_ids=[invoice.pk, invoice.pk], now=NOW)
    document_of(invoice=invoice, now=NOW)
    assert not WaitingDocument.objects.exists()


@pytest.mark.django_db
def test_one_that_cannot_be_drawn_keeps_the_reason_and_the_others_go_on():
    bad = make_issued(number="C-1", customer__legal_name="दिल्ली")
    good = make_issued(number="C-2")
    want(invoice_ids=[bad.pk, good.pk], now=NOW)
    assert draw_at() == (1, 1)
    waiting = WaitingDocument.objects.get()
    assert waiting.invoice == bad
    assert waiting.error.startswith("GlyphsMissing: The font of the documents cannot draw “द”")
    assert waiting.next_try_at == NOW + timedelta(minutes=1)
    assert draw_at() == (0, 0)
    assert draw_at(NOW + timedelta(minutes=1)) == (0, 1)
    assert WaitingDocument.objects.get().next_try_at == NOW + timedelta(minutes=3)


@pytest.mark.django_db
def test_a_file_that_cannot_be_written_half_way_leaves_no_document_and_is_tried_again(settings, tmp_path):
    invoice = make_issued()
    want(invoice_ids=[invoice.pk], now=NOW)
    blocked = tmp_path / "full"
    blocked.write_text("no folder")  # where the folder of documents should be is a file
    settings.MEDIA_ROOT = blocked
    assert draw_at() == (0, 1)
    assert not InvoiceDocument.objects.exists()
    settings.MEDIA_ROOT = tmp_path
    assert draw_at(NOW + timedelta(minutes=1)) == (1, 0)
    assert InvoiceDocument.objects.get().invoice == invoice


def in_another_process(work):
    """Start `work` in a process of its own, with a connection of its own; its id."""
    worker = os.fork()
    if not worker:  # pragma: no cover - another process
        connection.connection = None  # the parent's
        try:
            work()
        finally:
            os._exit(0)
    return worker


@pytest.mark.django_db(transaction=True)
def test_a_disk_that_is_full_half_way_leaves_nothing_in_the_way_of_the_next_attempt(tmp_path):
    invoice = make_issued()
    want(invoice_ids=[invoice.pk], now=NOW)

    def draw_on_a_full_disk():
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
        draw_at()

    os.waitpid(in_another_process(draw_on_a_full_disk), 0)
    assert "File too large" in WaitingDocument.objects.get().error
    assert not InvoiceDocument.objects.exists()
    assert draw_at(NOW + timedelta(minutes=1)) == (1, 0)
    assert [path.name for path in tmp_path.rglob("*.pdf")] == ["INV-000001.pdf"]
    assert read_document(InvoiceDocument.objects.get())[:4] == b"%PDF"


@pytest.mark.django_db(transaction=True)
def test_a_worker_killed_while_it_draws_is_followed_by_another(tmp_path):
    lines = [Line(f"Tokens {number}", "1.00", code=f"t{number}", quantity="5") for number in range(60)]
    invoice = make_invoice(make_contract("C-1"), lines)
    want(invoice_ids=[invoice.pk], now=NOW)
    worker = in_another_process(draw_at)
    while not WaitingDocument.objects.get().attempts:
        time.sleep(0.005)
    os.kill(worker, signal.SIGKILL)
    os.waitpid(worker, 0)
    assert not InvoiceDocument.objects.exists()
    assert draw_at() == (0, 0)
    assert draw_at(NOW + LEASE) == (1, 0)
    assert [path.name for path in tmp_path.rglob("*.pdf")] == ["INV-000001.pdf"]


@pytest.mark.django_db
def test_the_work_of_a_worker_that_died_is_taken_up_once_its_lease_is_over():
    invoice = make_issued()
    want(invoice_ids=[invoice.pk], now=NOW)
    WaitingDocument.objects.update(attempts=1, next_try_at=NOW + LEASE)  # as a killed worker leaves it
    assert draw_at() == (0, 0)
    assert draw_at(NOW + LEASE) == (1, 0)


@pytest.mark.django_db
def test_a_worker_stops_when_its_time_is_up_and_leaves_the_rest():
    want(invoice_ids=[make_issued(number="C-1").pk, make_issued(number="C-2").pk], now=NOW)
    asked = iter([False, True])
    assert draw_waiting(clock=lambda: NOW, time_is_up=lambda: next(asked)) == (1, 0)
    assert WaitingDocument.objects.count() == 1
