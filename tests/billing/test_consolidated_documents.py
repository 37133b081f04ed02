"""Documents of several contracts, of credit notes, and with a logo: what is printed, shown and sent."""

import io
from datetime import date
from pathlib import Path
from typing import Any

import pypdf
import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.urls import reverse
from PIL import Image

from billing.catalog.services import end_subscription
from billing.invoicing.delivery.services import send_invoices
from billing.invoicing.documents import document_of, read_document, render_pdf
from billing.invoicing.models import Invoice
from customers.models import LegalEntity
from customers.services import set_payer
from tests.factories import (
    NOW,
    bill_and_issue,
    fee,
    make_contract,
    make_customer,
    make_entity,
    make_subscription,
    make_version,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _documents(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path


def picture(width: int = 400, height: int = 100, kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), "#1d4ed8").save(out, kind)
    return out.getvalue()


def words(content: bytes) -> str:
    pages = (page.extract_text() for page in pypdf.PdfReader(io.BytesIO(content)).pages)
    return " ".join(" ".join(pages).split())


def family() -> Invoice:
    """A holding with a contract, and a child with two, on one invoice."""
    parent = make_customer("holding", legal_name="Holding AG")
    child = make_customer("north", legal_name="North GmbH")
    for number, who, amount, order in (("C-1", parent, "1.00", ""), ("C-2", child, "20.00", "4711"),
                                       ("C-3", child, "300.00", "")):  # fmt: skip
        contract = make_contract(who, number=number, po_number=order)
        make_subscription(contract, make_version(fee(amount=amount), plan=number.lower()))
    set_payer(customer=child, payer=parent, start=date(2023, 11, 1), now=NOW)
    (invoice,) = bill_and_issue("2023-11-01")
    return invoice


def credit_note() -> Invoice:
    contract = make_contract()
    subscription = make_subscription(contract)
    bill_and_issue("2023-11-01")
    end_subscription(subscription=subscription, at=date(2023, 11, 16), now=NOW)
    (note,) = bill_and_issue("2023-11-16")
    return note


def test_it_works() -> None:
    """Sections of each child and contract, with what they add up to, in the order of the lines."""
    text = words(read_document(document_of(invoice=family(), now=NOW)))
    parts = (
        "Holding AG · Contract C-1", "Holding AG 1.00", "North GmbH · Contract C-2 · PO 4711", "Contract C-2 20.00",
        "North GmbH · Contract C-3", "Contract C-3 300.00", "North GmbH 320.00", "Net 321.00",
    )  # fmt: skip
    places = [text.index(part) for part in parts]
    assert places == sorted(places)


def test_sections_are_those_of_the_day_of_issue() -> None:
    invoice = family()
    before = render_pdf(invoice).bytes
    child = invoice.lines.last().stream.contract.customer
    child.legal_name = "Renamed SE"
    child.save()
    assert render_pdf(Invoice.objects.get(pk=invoice.pk)).bytes == before


def test_what_was_issued_before_sections_prints_as_one() -> None:
    invoice = family()
    del invoice.terms["contracts"]
    text = words(render_pdf(invoice).bytes)
    assert "North GmbH · Contract" not in text
    assert "USD 321.00" in text


def test_a_credit_note_says_what_it_is_and_asks_for_nothing() -> None:
    note = credit_note()
    text = words(render_pdf(note).bytes)
    for part in ("Credit note", "Credit to your account", "USD 50.00", "Adjustment to ACME-000001", "CN-ACME-000001"):
        assert part in text
    assert "Due" not in text
    assert "How to pay" not in text
    send_invoices(invoice_ids=[note.pk], user=None, now=NOW)
    (message,) = mail.outbox
    assert message.subject == "Credit note CN-ACME-000001 from Acme AI GmbH"
    assert "attached credit note CN-ACME-000001" in message.body
    assert "Please pay" not in message.body


def test_the_page_shows_sections_and_credits(client: Any) -> None:
    client.force_login(User.objects.create_superuser("root", password="x"))
    page = client.get(reverse("admin:billing_invoice_change", args=[family().pk])).content.decode()
    assert "North GmbH · Contract C-2 · PO 4711" in page
    assert "USD 320.00" in page
    page = client.get(reverse("admin:billing_invoice_change", args=[credit_note().pk])).content.decode()
    assert "Credited" in page
    assert "To the customer’s balance" in page
    assert "Record payment" not in page


def test_a_logo_is_printed_in_its_proportions_and_stays_on_what_was_issued() -> None:
    entity = make_entity()
    entity.logo.save("logo.png", ContentFile(picture(800, 100)))
    invoice = family()
    before = render_pdf(invoice)
    (page,) = pypdf.PdfReader(io.BytesIO(before.bytes)).pages
    assert [image.image.size for image in page.images] == [(800, 100)]
    entity.refresh_from_db()
    entity.logo.save("logo.png", ContentFile(picture(100, 100, "JPEG")))
    assert render_pdf(Invoice.objects.get(pk=invoice.pk)).bytes == before.bytes


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("logo.gif", picture(kind="GIF"), "GIF picture: use a PNG or JPEG"),
        ("logo.png", b"no picture", "cannot be read as a picture"),
        ("logo.png", b"\0" * 600_000, "600 kB: use a picture of at most 500 kB"),
    ],
)
def test_what_no_document_could_print_is_no_logo(name: str, content: bytes, why: str) -> None:
    entity = make_entity()
    entity.logo = ContentFile(content, name)
    with pytest.raises(ValidationError, match=why):
        entity.full_clean()


def test_a_logo_is_uploaded_and_removed_on_the_page_of_its_entity(client: Any) -> None:
    client.force_login(User.objects.create_superuser("root", password="x"))
    entity = make_entity()
    url = reverse("admin:customers_legalentity_change", args=[entity.pk])
    fields = {name: getattr(entity, name) for name in (
        "name", "code", "country", "tax_id", "address", "email", "bank_details", "currency", "timezone",
        "invoice_prefix", "credit_note_prefix", "negative", "reference",
    )}  # fmt: skip
    upload = io.BytesIO(picture())
    upload.name = "acme.png"
    assert client.post(url, fields | {"logo": upload}).status_code == 302
    assert LegalEntity.objects.get().logo.name.startswith("logos/acme")
    assert "data:image/png;base64," in client.get(url).content.decode()
    client.post(url, fields | {"logo-clear": "on"})
    assert not LegalEntity.objects.get().logo
