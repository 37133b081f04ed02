"""Documents drawn by the worker: every issued invoice gets one, whatever fails on the way."""

from datetime import timedelta

import pytest

from billing.invoicing.documents import document_of
from billing.invoicing.drawing import tasks
from billing.invoicing.drawing.models import WaitingDocument
from billing.invoicing.drawing.services import LEASE, draw_waiting, want
from billing.invoicing.models import InvoiceDocument
from tests.billing.issued import NOW, make_issued
from tests.factories import bill_and_issue, make_contract, make_subscription


@pytest.fixture(autouse=True)
def _documents(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path


def draw_at(moment=NOW):
    return draw_waiting(clock=lambda: moment)


@pytest.mark.django_db
def test_an_issued_invoice_waits_for_its_document_and_the_worker_draws_it():
    contract = make_contract()
    make_subscription(contract)
    (invoice,) = bill_and_issue("2023-11-01", contract, now=NOW)
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
    bad = make_issued(number="C-1", customer__legal_name="서울")
    good = make_issued(number="C-2")
    want(invoice_ids=[bad.pk, good.pk], now=NOW)
    assert draw_at() == (1, 1)
    waiting = WaitingDocument.objects.get()
    assert waiting.invoice == bad
    assert waiting.error.startswith("GlyphsMissing: The font of the documents cannot draw “서”")
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
