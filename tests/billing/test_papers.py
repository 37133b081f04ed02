"""Documents of metered usage: language, look, how to pay, and the usage behind the lines."""

import csv
import io
from datetime import UTC, datetime
from decimal import Decimal

import pypdf
import pytest

from billing.invoicing.behind.csv_file import usage_csv
from billing.invoicing.behind.models import PrintedUsage
from billing.invoicing.behind.queries import usage_behind
from billing.invoicing.document_context import printed_invoice
from billing.invoicing.documents import document_of, read_document, render_pdf
from billing.invoicing.fonts import drawable
from billing.invoicing.models import Invoice
from billing.invoicing.paying import Transfer, code_of, epc_text, reference_of
from tests.billing.issued import Line, make_issued
from tests.billing.issued import make_contract as made_contract
from tests.billing.issued import make_invoice as made_invoice
from tests.billing.papers import ISSUED_ON, make_paper
from tests.billing.test_documents import text_of
from tests.factories import bill, send_events


@pytest.fixture(autouse=True)
def _documents(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path


def token_line(invoice: Invoice):
    return invoice.lines.select_related("stream").get(description="Tokens")


@pytest.mark.django_db
def test_a_document_says_all_in_german_with_the_sellers_texts():
    text = text_of(render_pdf(make_paper()).bytes)
    for words in (
        "Rechnung", "Rechnungsnummer", "Fällig am 1. Jan. 2024", "Die ersten 1.000 tokens zu EUR 0,05", "Gesamtbetrag",
        "Bitte überweisen Sie EUR 366,09 bis zum 1. Jan. 2024", "RF66 ACME 0000 01", "BIC BYLADEM1001",
        "HRB 123456 B", "Goods remain ours until paid.", "Nutzung im Einzelnen", "Nach model, region",
        "gpt-1 · ap-northeast-1", "30. Nov.", "Jeder Tag zählt für sich", "Seite 1 von 2",
    ):  # fmt: skip
        assert words in text
    assert "Service period" not in text


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("locale", "currency", "words"),
    [
        ("ja-JP", "JPY", ("請求書", "JPY 27,264", "最初の 1,000 tokens", "利用の明細", "1 / 2 ページ")),
        ("fr-FR", "KWD", ("Facture", "KWD 366,093", "Total TTC", "Les 4 000 tokens suivants à KWD 0,025")),
    ],
)
def test_a_document_speaks_the_customers_language_and_currency(locale: str, currency: str, words: tuple[str, ...]):
    text = text_of(render_pdf(make_paper(currency, locale)).bytes).replace("\u00a0", " ")
    for each in words:
        assert each in text
    assert "EUR" not in text


@pytest.mark.parametrize(
    ("locale", "tax_id", "words"),
    [
        ("en-GB", "US 12-3456789", ("Tax number US 12-3456789", "Germany")),
        ("de-DE", "DE811907980", ("USt-IdNr. DE811907980", "Deutschland")),
        ("fr-FR", "CHE-123.456.789", ("N° fiscal CHE-123.456.789", "Allemagne")),
        ("ja-JP", "T1234567890123", ("登録番号 T1234567890123", "ドイツ")),
    ],
)
@pytest.mark.django_db
def test_a_tax_number_is_called_what_it_is_and_countries_are_named_in_the_language(locale, tax_id, words):
    buyer = {"customer__locale": locale, "customer__tax_id": tax_id, "customer__legal_name": "Acme"}
    text = text_of(render_pdf(make_issued(**buyer)).bytes)
    for each in words:
        assert each in text


@pytest.mark.django_db
def test_the_usage_behind_a_line_adds_up_to_its_quantity_by_day_and_dimension():
    line = token_line(make_paper())
    behind = usage_behind([line])[line.pk]
    assert behind.dimensions == ("model", "region")
    assert behind.adds
    assert sum(row.quantity for row in behind.rows) == line.quantity == 6045
    assert [(row.day.day, row.values, row.quantity, row.events) for row in behind.rows[:2]] == [
        (1, ("gpt-0", "eu-central-1"), Decimal(100), 1), (2, ("gpt-1", "us-east-1"), Decimal(107), 1)]  # fmt: skip


@pytest.mark.django_db
def test_days_of_a_peak_stand_alone():
    invoice = make_paper(days=3)
    line = invoice.lines.select_related("stream").get(description="Peak")
    behind = usage_behind([line])[line.pk]
    assert (behind.adds, behind.dimensions) == (False, ())
    assert [row.quantity for row in behind.rows] == [100, 107, 114]


@pytest.mark.django_db
def test_what_comes_late_is_not_told_of_the_line_that_was_issued_before():
    invoice = make_paper(days=5)
    line = token_line(invoice)
    send_events(subject="buyer", time="2023-11-03T13:00:00Z", data={"tokens": 900, "model": "gpt-9", "region": "x"},
                now=ISSUED_ON)  # fmt: skip
    assert sum(row.quantity for row in usage_behind([line])[line.pk].rows) == line.quantity == 570
    (draft,) = bill("2023-12-01", now=ISSUED_ON)
    later = token_line(draft)
    assert later.corrects_id == line.pk
    assert sum(row.quantity for row in usage_behind([later])[later.pk].rows) == later.quantity == 1470


@pytest.mark.django_db
def test_the_number_of_queries_for_the_usage_does_not_grow_with_its_days(django_assert_max_num_queries):
    lines = list(make_paper(days=30).lines.select_related("stream"))
    with django_assert_max_num_queries(33):
        assert len(usage_behind(lines)) == 2


@pytest.mark.django_db
def test_the_file_of_usage_has_every_row_and_nothing_a_spreadsheet_computes():
    invoice = make_paper(days=3)
    rows = list(csv.DictReader(io.StringIO("".join(usage_csv(invoice)))))
    tokens = [row for row in rows if row["description"] == "Tokens"]
    assert [(row["day"], row["value_1"], row["value_2"], row["quantity"], row["unit"]) for row in tokens] == [
        ("2023-11-01", "gpt-0", "eu-central-1", "100", "token"),
        ("2023-11-02", "gpt-1", "us-east-1", "107", "token"),
        ("2023-11-03", "gpt-2", "ap-northeast-1", "114", "token"),
    ]
    assert {row["invoice"] for row in rows} == {"ACME-000001"}


@pytest.mark.django_db
def test_a_value_that_is_a_formula_is_harmless_in_the_file_and_one_the_font_lacks_in_the_document():
    make_paper(days=1)
    later = datetime(2024, 1, 1, 8, tzinfo=UTC)
    send_events(subject="buyer", time="2023-12-03T12:00:00Z",
                data={"tokens": 9, "model": "=1+1", "region": "दिल्ली"}, now=later)  # fmt: skip
    (draft,) = bill("2024-01-01", now=later)
    rows = "".join(usage_csv(draft))
    assert "'=1+1" in rows
    assert "दिल्ली" in rows
    assert "=1+1 · ??????" in text_of(render_pdf(draft).bytes)
    assert drawable("दिल्ली Wien") == "?????? Wien"


@pytest.mark.django_db
def test_the_usage_is_printed_once_and_drawn_the_same_for_ever():
    invoice = make_paper(days=3)
    content = read_document(document_of(invoice=invoice, now=ISSUED_ON))
    kept = PrintedUsage.objects.get(invoice=invoice).content
    assert kept["lines"]["3"]["days"][0] == ["2023-11-01", "100"]
    again = render_pdf(Invoice.objects.get(pk=invoice.pk)).bytes
    assert again == content


@pytest.mark.django_db
def test_an_invoice_with_many_steps_is_a_summary_and_explains_itself_at_the_end():
    steps = [(f"Item {place} at USD 1.00", "1", "1") for place in range(31)]
    lines = [Line(f"Tokens {place}", "30.00", code=f"t{place}", steps=steps) for place in range(4)]
    rendered = render_pdf(made_invoice(made_contract(), lines))
    pages = [page.extract_text() for page in pypdf.PdfReader(io.BytesIO(rendered.bytes)).pages]
    assert "Item 3 at" not in pages[0]
    assert "Total" in pages[0]
    assert "How the amounts came about" in pages[1]
    assert sum(page.count("Item 3 at") for page in pages) == 4


def test_a_payment_code_is_for_euros_with_an_account_alone():
    transfer = Transfer("Acme GmbH", "DE02 1203 0000 0000 2020 51", "", Decimal("12.30"), "EUR", "RF69 INV0 0000 1")
    assert epc_text(transfer).split("\n") == [
        "BCD", "002", "1", "SCT", "", "Acme GmbH", "DE02120300000000202051", "EUR12.30", "", "RF69INV000001",
    ]  # fmt: skip
    named = Transfer("Acme GmbH", "DE02120300000000202051", "X", Decimal("12.30"), "EUR", "INV-1")
    assert epc_text(named).split("\n")[-3:] == ["", "", "INV-1"]
    dollars = Transfer("Acme GmbH", "DE02120300000000202051", "", Decimal("12.30"), "USD", "INV-1")
    assert epc_text(dollars) == code_of("") == ""
    nothing = Transfer("Acme GmbH", "", "", Decimal("12.30"), "EUR", "INV-1")
    assert epc_text(nothing) == ""


def test_a_number_too_long_for_a_creditor_reference_is_its_own_reference():
    assert reference_of("INV-000001", "creditor") == "RF69 INV0 0000 1"
    assert reference_of("INV-" + "0" * 30, "creditor") == "INV-" + "0" * 30
    assert reference_of("INV-000001", "number") == "INV-000001"


@pytest.mark.django_db
def test_bank_details_are_not_said_twice():
    contract = made_contract(entity__iban="PL61109010140000071219812874", entity__bic="BREXPLPWMBK")
    invoice = made_invoice(contract, [Line("Tokens", "10.00")])
    assert printed_invoice(invoice).payment.bank_details == contract.entity.bank_details.splitlines()


@pytest.mark.django_db
def test_an_invoice_of_an_earlier_release_without_the_new_copies_still_prints():
    invoice = make_issued()
    for name in ("colour", "legal_text", "footer", "iban", "bic", "reference"):
        invoice.seller.pop(name)
    assert "INV-000001" in text_of(render_pdf(invoice).bytes)
