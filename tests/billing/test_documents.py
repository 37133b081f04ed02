"""The document of an invoice: what it says, that it is the same for ever, and that nothing on it is lost."""

import io
import threading
import time
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pypdf
import pytest
from django.core.files.storage import default_storage
from django.db import connection

from billing.invoicing.delivery.messages import letter_for
from billing.invoicing.document_context import printed_invoice
from billing.invoicing.documents import document_of, preview_pdf, read_document, render_pdf
from billing.invoicing.errors import DocumentDamaged, GlyphsMissing, NotIssued
from billing.invoicing.fonts import unprintable
from billing.invoicing.formatting import Format, breakable, share_in_days
from billing.invoicing.models import Invoice, InvoiceDocument
from billing.invoicing.rendering import Rendered
from billing.invoicing.services import issue
from billing.payments.services import record_payment
from tests.billing.issued import DECEMBER, NOVEMBER, NOW, Line, make_contract, make_invoice, make_issued
from tests.billing.test_balance import pay

OCTOBER = (datetime(2023, 10, 1, tzinfo=UTC), datetime(2023, 11, 1, tzinfo=UTC))


@pytest.fixture(autouse=True)
def _documents(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path


def text_of(content: bytes) -> str:
    """All the words of a PDF with single spaces between them."""
    pages = (page.extract_text() for page in pypdf.PdfReader(io.BytesIO(content)).pages)
    return " ".join(" ".join(pages).split())


def realistic() -> Invoice:
    """Usage with tiers, a prorated fee, and an adjustment of an earlier invoice, for a buyer in Tokyo."""
    contract = make_contract("C-2023-0042", customer__legal_name="株式会社データ解析 (Ελλάς · Київ)")
    earlier = make_invoice(
        contract, [Line("Input tokens", "12.00", service=OCTOBER, code="input"), Line("Storage", "3.00", code="gb")]
    )
    return make_invoice(
        contract,
        [
            Line("Input tokens", "19.80", code="input", quantity="7400000", unit="token", steps=[
                ("First 5,000,000 tokens at USD 0.000003", "5000000", "15"),
                ("Above 5,000,000 tokens at USD 0.000002", "2400000", "4.8")]),
            Line("Output tokens", "9.26", code="output", quantity="1234567.5", unit="token", steps=[
                ("1,234,567.5 tokens at USD 0.0000075", "1234567.5", "9.25925625")]),
            Line("Images", "12.50", code="images", quantity="312", unit="image", steps=[
                ("Included: 62 images", "62", "0"), ("250 images at USD 0.05", "250", "12.5")]),
            Line("Team plan", "310.00", code="seat", kind="recurring", quantity="5", service=DECEMBER,
                 full_price="310", steps=[("5 units at USD 62.00", "5", "310")]),
            Line("Priority support", "150.00", code="support", kind="recurring", quantity="1", fraction="15/31",
                 service=(datetime(2023, 12, 17, tzinfo=UTC), DECEMBER[1]), full_price="310",
                 steps=[("1 unit at USD 310.00", "1", "310"), ("Prorated: 15/31 of the period", None, "-160")]),
            Line("Input tokens", "-2.50", code="input", service=OCTOBER, quantity="3166667", unit="token",
                 corrects=earlier.lines.get(position=1),
                 steps=[("First 5,000,000 tokens at USD 0.000003", "3166667", "9.500001")]),
        ],
    )  # fmt: skip


@pytest.mark.django_db
def test_it_works():
    invoice = realistic()
    document = document_of(invoice=invoice, now=NOW)
    content = read_document(document)
    assert document.pages == 1
    assert document.file.name == "invoices/2023/12/INV-000002.pdf"
    text = text_of(content)
    for words in (
        "INV-000002", "Miernik Łódź Sp. z o.o.", "株式会社データ解析 (Ελλάς · Київ)", "1 Dec 2023", "31 Dec 2023",
        "1 Nov – 31 Dec 2023", "PO-4711", "C-2023-0042", "1–30 Nov 2023", "7,400,000 tokens",
        "First 5,000,000 tokens at USD 0.000003 5,000,000 15.00", "9.259256", "Adjustment to INV-000001",
        "Already billed -12.00", "Prorated: 15 of 31 days", "Tax 0.00", "USD 499.06", "IBAN PL61",
        "VAT number PL7251868300", "Page 1 of 1",
    ):  # fmt: skip
        assert words in text


@pytest.mark.django_db
def test_a_second_call_gives_the_same_document_and_the_same_bytes():
    invoice = realistic()
    first = document_of(invoice=invoice, now=NOW)
    assert document_of(invoice=Invoice.objects.get(pk=invoice.pk), now=datetime(2025, 1, 1, tzinfo=UTC)) == first
    assert render_pdf(Invoice.objects.get(pk=invoice.pk)).bytes == read_document(first)
    assert InvoiceDocument.objects.count() == 1


@pytest.mark.django_db
def test_an_issued_invoice_shows_its_copies_and_not_what_changed_since():
    invoice = make_issued()
    before = render_pdf(invoice).bytes
    invoice.customer.legal_name = "Renamed GmbH"
    invoice.customer.save()
    invoice.entity.tax_id = "PL0000000000"
    invoice.entity.save()
    assert render_pdf(Invoice.objects.get(pk=invoice.pk)).bytes == before


@pytest.mark.django_db
def test_a_draft_is_previewed_with_a_mark_and_stored_nowhere(tmp_path: Path):
    invoice = make_invoice(make_contract(), [Line("Tokens", "10.00")], state="draft")
    text = text_of(preview_pdf(invoice))
    assert "DRAFT" in text
    assert "Due 30 days after issue" in text
    assert "Invoice number" not in text
    with pytest.raises(NotIssued, match="issue it first"):
        document_of(invoice=invoice, now=NOW)
    assert not list(tmp_path.rglob("*.pdf"))


@pytest.mark.django_db
def test_characters_that_would_print_as_boxes_are_refused_by_name():
    invoice = make_issued(customer__legal_name="Delhi दि ₹")
    with pytest.raises(GlyphsMissing, match=r"“द” .* “ि” .* “₹”") as refused:
        document_of(invoice=invoice, now=NOW)
    assert refused.value.characters == ["द", "ि", "₹"]
    assert not InvoiceDocument.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "name",
    [
        "Zażółć gęślą jaźń",
        "Ξεσκεπάζω την ψυχοφθόρα",
        "Съешь ґанок їжак",
        "東京かなカナ漢字",
        "서울 주식회사",
        "简体中文有限公司",
        "臺灣",
        "cafe\u0301 na\u0308ive",
    ],
)
def test_names_print_in_latin_greek_cyrillic_japanese_korean_and_chinese(name: str):
    assert unprintable(name) == []
    rendered = render_pdf(make_issued(customer__legal_name=name))
    words = name.replace("e\u0301", "é").replace("a\u0308", "ä")
    assert words in text_of(rendered.bytes)


@pytest.mark.django_db(transaction=True)
def test_two_renders_at_once_end_in_one_document(tmp_path: Path):
    invoice = make_issued()
    start = threading.Barrier(2)
    found: list[InvoiceDocument] = []

    def render() -> None:
        start.wait()
        found.append(document_of(invoice=invoice, now=NOW))
        connection.close()

    threads = [threading.Thread(target=render) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0] == found[1] == InvoiceDocument.objects.get()
    assert [path.name for path in tmp_path.rglob("*.pdf")] == [Path(found[0].file.name).name]


@pytest.mark.django_db
def test_a_lost_file_is_drawn_again_and_a_changed_one_is_refused():
    document = document_of(invoice=make_issued(), now=NOW)
    content = read_document(document)
    default_storage.delete(document.file.name)
    assert document_of(invoice=document.invoice, now=NOW) == document
    assert read_document(document) == content
    Path(default_storage.path(document.file.name)).write_bytes(b"%PDF-other")
    with pytest.raises(DocumentDamaged, match="INV-000001 is missing or was changed"):
        read_document(document)


@pytest.mark.django_db
def test_a_lost_file_that_comes_out_different_is_refused():
    invoice = make_issued()
    rendered = render_pdf(invoice)
    other = Rendered(rendered.bytes + b"%", rendered.pages)
    name = "invoices/2023/12/lost.pdf"
    InvoiceDocument.objects.create(invoice=invoice, file=name, sha256=other.sha256, pages=1, rendered_at=NOW)
    with pytest.raises(DocumentDamaged, match="restore it from a backup"):
        document_of(invoice=invoice, now=NOW)


def many_lines(count: int, description: str) -> Invoice:
    lines = [
        Line(f"{description} {number:03}", "1.00", code=f"item{number}", quantity="1000", unit="token")
        for number in range(count)
    ]
    return make_invoice(make_contract(), lines)


@pytest.mark.django_db
def test_three_hundred_lines_keep_their_size_and_every_word():
    rendered = render_pdf(many_lines(300, "Tokens of model"))
    reader = pypdf.PdfReader(io.BytesIO(rendered.bytes))
    assert rendered.pages == len(reader.pages)
    assert 9 <= rendered.pages <= 12
    text = text_of(rendered.bytes)
    assert all(f"Tokens of model {number:03}" in text for number in range(300))
    assert all("Service period" in page.extract_text() for page in reader.pages[:-1])  # the head is repeated
    assert f"Page {rendered.pages} of {rendered.pages}" in text
    assert sizes(reader) == {7.5, 9.0, 11.0, 12.0, 24.0}  # as the style sheet has them: nothing was shrunk


def sizes(reader: pypdf.PdfReader) -> set[float]:
    """The sizes of type, in points, of all text that shows something, scaled as drawn."""
    found: set[float] = set()

    def note(text: str, cm: list[float], tm: list[float], font: object, size: float) -> None:
        if text.strip():
            found.add(round(size * abs(tm[3]) * abs(cm[3]), 1))

    for page in reader.pages:
        page.extract_text(visitor_text=note)
    return found


@pytest.mark.django_db
def test_long_descriptions_wrap_and_are_whole():
    long = ("Tokens of the large model with the very long name in region eu-central-1 " * 3)[:196].strip()
    unbroken = "x" * 200
    invoice = make_invoice(make_contract(), [Line(long, "1.00"), Line(unbroken, "2.00", code="other")])
    rendered = render_pdf(invoice)
    assert rendered.pages == 1
    assert long in text_of(rendered.bytes)
    assert unbroken in text_of(rendered.bytes).replace(" ", "")
    assert 9.0 in sizes(pypdf.PdfReader(io.BytesIO(rendered.bytes)))


@pytest.mark.django_db
def test_fifty_lines_are_drawn_in_a_moment():
    invoice = many_lines(50, "Tokens")
    render_pdf(invoice)
    start = time.perf_counter()
    render_pdf(invoice)
    assert time.perf_counter() - start < 3  # some 0.5 s on an idle machine


@pytest.mark.django_db
def test_the_number_of_queries_does_not_grow_with_the_lines(django_assert_num_queries):
    few = Invoice.objects.get(pk=realistic().pk)
    with django_assert_num_queries(13):
        render_pdf(few)
    lines = [Line(f"Item {number}", "1.00", code=f"item{number}") for number in range(20)]
    many = Invoice.objects.get(pk=make_invoice(make_contract("C-9"), lines).pk)
    with django_assert_num_queries(13):
        render_pdf(many)


@pytest.mark.django_db
def test_nothing_to_pay_says_so():
    text = text_of(render_pdf(make_issued("0.00")).bytes)
    assert "Nothing to pay" in text
    assert "How to pay" not in text


@pytest.mark.django_db
def test_names_with_markup_print_as_written():
    text = text_of(render_pdf(make_issued(customer__legal_name="Fish & <b>Chips</b> Ltd")).bytes)
    assert "Fish & <b>Chips</b> Ltd" in text


@pytest.mark.parametrize(
    ("locale", "currency", "amount", "day", "period"),
    [
        ("en-US", "USD", "USD 1,234.50", "Nov 1, 2023", "Nov 1 – 30, 2023"),
        ("de-DE", "EUR", "EUR 1.234,50", "1. Nov. 2023", "1.–30. Nov. 2023"),
        ("pl-PL", "PLN", "PLN 1 234,50", "1 lis 2023", "1–30 lis 2023"),
        ("fr-FR", "KWD", "KWD 1 234,500", "1 nov. 2023", "1–30 nov. 2023"),
        ("ja-JP", "JPY", "JPY 1,234", "2023年11月1日", "2023年11月1日～30日"),
        ("ko-KR", "KRW", "KRW 1,234", "2023년 11월 1일", "2023년 11월 1일~30일"),
        ("hi-IN", "CLF", "CLF 1,234.5000", "1 Nov 2023", "1–30 Nov 2023"),  # a script that the font lacks
    ],
)
def test_numbers_and_dates_follow_the_customers_locale(locale, currency, amount, day, period):
    write = Format(locale=locale, currency=currency)
    given = Decimal("1234") if currency in ("JPY", "KRW") else Decimal("1234.5000")
    assert " ".join(write.money(given).split()) == amount
    assert write.day(date(2023, 11, 1)) == day
    assert " ".join(write.period(*NOVEMBER, "UTC").split()) == period


def test_a_period_prints_its_last_day_in_the_contracts_zone():
    write = Format(locale="en-GB", currency="USD")
    start, end = datetime(2023, 10, 31, 15, tzinfo=UTC), datetime(2023, 11, 30, 15, tzinfo=UTC)
    assert write.period(start, end, "Asia/Tokyo") == "1–30 Nov 2023"
    assert write.period(start, datetime(2023, 11, 1, 15, tzinfo=UTC), "Asia/Tokyo") == "1 Nov 2023"


def test_a_long_period_can_break_in_a_script_without_blanks():
    write = Format(locale="ja-JP", currency="JPY")
    assert write.period(NOVEMBER[0], DECEMBER[1], "UTC") == "2023年11月1日～ 12月31日"


def test_only_words_wider_than_a_column_are_broken():
    assert breakable("short words of any number stay as they are, whatever their sum") == (
        "short words of any number stay as they are, whatever their sum"
    )
    assert breakable("x" * 60) == " ".join(["x" * 26, "x" * 26, "x" * 8])
    assert breakable("株" * 14) == f"{'株' * 13} 株"


def test_labels_of_steps_take_the_numbers_of_the_locale_and_nothing_else():
    write = Format(locale="de-DE", currency="EUR")
    label = "First 5,000,000 tokens of GPT4 at EUR 0.000003 (tier up to 10.50)"
    assert write.label(label) == "First 5.000.000 tokens of GPT4 at EUR 0,000003 (tier up to 10,50)"


def test_quantities_of_forty_digits_stay_exact():
    write = Format(locale="en-GB", currency="USD")
    assert write.quantity(Decimal("1234567890123456789012345678.000000000001")).endswith("345,678.000000000001")


@pytest.mark.parametrize(
    ("share", "words"),
    [("", ""), ("1", ""), ("15/31", "15 of 31 days"), ("1/2", "15 of 30 days"), ("2/7", "2/7 of a full period"),
     ("15 of 31 days", "15 of 31 days")],
)  # fmt: skip
def test_the_share_of_a_full_period_is_told_in_days(share: str, words: str):
    start, end = datetime(2023, 11, 1, tzinfo=UTC), datetime(2023, 11, 16, tzinfo=UTC)
    assert share_in_days(start, end, share, "UTC") == words


@pytest.mark.django_db
def test_what_the_balance_settled_at_issue_is_shown_and_only_the_rest_is_asked_for() -> None:
    """The text, the code for banking apps and the letter ask for what is left; later movements change nothing."""
    seller = {"entity__iban": "DE02120300000000202051", "entity__name": "Seller GmbH", "currency": "EUR"}
    paid = make_issued("100.00", **seller)
    pay(paid, "150.00", keep_over=True)
    invoice = make_invoice(paid.contract, [Line("Tokens", "80.00")], state="approved")
    assert issue(invoice_ids=[invoice.pk], user=None, now=NOW).done
    invoice.refresh_from_db()
    printed = printed_invoice(invoice)
    assert (printed.total, printed.used, printed.to_pay) == ("EUR 80.00", "-50.00", "EUR 30.00")
    assert "Please transfer EUR 30.00 by" in printed.payment.text
    text = text_of(render_pdf(invoice).bytes)
    assert "Total EUR 80.00 From your balance -50.00 To pay EUR 30.00" in text
    assert "Total:        EUR 80.00\nTo pay:       EUR 30.00\nDue by:" in letter_for(invoice, NOW).letter.body
    later = datetime(2023, 12, 2, tzinfo=UTC)
    record_payment(
        invoice_id=invoice.pk, amount=Decimal(30), received_on=NOW.date(), reference="", user=None, now=later
    )
    assert printed_invoice(invoice).to_pay == "EUR 30.00"


@pytest.mark.django_db
def test_an_invoice_that_the_balance_settles_whole_asks_for_nothing() -> None:
    paid = make_issued("100.00")
    pay(paid, "200.00", keep_over=True)
    invoice = make_invoice(paid.contract, [Line("Tokens", "80.00")], state="approved")
    issue(invoice_ids=[invoice.pk], user=None, now=NOW)
    invoice.refresh_from_db()
    printed = printed_invoice(invoice)
    assert (printed.nothing_due, printed.payment.code, printed.payment.bank_details) == (True, "", [])
    body = letter_for(invoice, NOW).letter.body
    assert "Nothing is to be paid for it." in body
    assert "To pay:" not in body
