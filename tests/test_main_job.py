"""The main job, end to end: a usage file becomes priced charges, an invoice with a PDF, entries and a schedule."""

import os
from datetime import UTC, date, datetime
from decimal import Decimal
from io import BytesIO, StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from pypdf import PdfReader

from billing.invoicing.documents import document_of, read_document
from billing.invoicing.models import Invoice
from billing.invoicing.services import approve, issue
from billing.metering.models import Event
from billing.payments.services import record_payment
from config import clock
from revenue.ledger.models import JournalLine, ScheduleLine
from revenue.ledger.services import recognise
from revenue.reports.ties import ties
from tests.factories import fee, make_contract, make_customer, make_meter, make_subscription, make_version, usage

pytestmark = pytest.mark.django_db
SMALL = Path(__file__).parent / "data" / "small_trace.csv"
INPUT_TIERS = [
    {"up_to": "5000000", "unit_amount": "0.000003"},
    {"up_to": "15000000", "unit_amount": "0.0000025"},
    {"up_to": None, "unit_amount": "0.000002"},
]


@pytest.fixture
def media(settings: object, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path / "documents"  # type: ignore[attr-defined]
    return tmp_path


def sell_tokens(tiers: list[dict[str, str | None]] = INPUT_TIERS) -> None:
    customer = make_customer("acme", legal_name="Zażółć Γειά Київ 株式会社", subject="acme")
    tokens = {
        name: make_meter(name, value=column, unit=f"{name} token")
        for name, column in (("input", "ContextTokens"), ("output", "GeneratedTokens"))
    }
    version = make_version(
        fee("platform", "500.00", name="Platform fee"),
        usage("input-tokens", tokens["input"], model="graduated", tiers=tiers),
        usage("output-tokens", tokens["output"], model="per_unit", unit_amount="0.000015"),
    )
    make_subscription(make_contract(customer), version)


def import_trace(file: Path, folder: Path) -> str:
    out = StringIO()
    call_command(
        "import_usage", str(file), "--column", "time=TIMESTAMP", "--zone", "UTC", "--constant", "type=inference",
        "--constant", "subject=acme", "--errors", str(folder / "errors.csv"), stdout=out,
    )  # fmt: skip
    return out.getvalue()


def bill(as_of: str) -> Invoice:
    call_command("bill", "--as-of", as_of, stdout=StringIO())
    draft = Invoice.objects.get(state="draft")
    assert approve(invoice_ids=[draft.id], user=None, now=clock.now()).skipped == []
    (invoice,) = issue(invoice_ids=[draft.id], user=None, now=clock.now()).done
    return invoice


def pdf_text(invoice: Invoice) -> str:
    content = read_document(document_of(invoice=invoice, now=clock.now()))
    return " ".join(" ".join(page.extract_text() for page in PdfReader(BytesIO(content)).pages).split())


def the_main_job(file: Path, folder: Path) -> tuple[Invoice, Invoice]:
    with clock.set_to(datetime(2023, 11, 1, 9, tzinfo=UTC)):
        first = bill("2023-11-01")
    import_trace(file, folder)
    before = Event.objects.count()
    import_trace(file, folder)
    assert Event.objects.count() == before
    with clock.set_to(datetime(2023, 12, 1, 9, tzinfo=UTC)):
        second = bill("2023-12-01")
    return first, second


def test_it_works(media: Path) -> None:
    """A small hand-made trace takes the whole way: 12 requests, two prices, two invoices, a payment, the books."""
    sell_tokens([{"up_to": "1000", "unit_amount": "0.01"}, {"up_to": None, "unit_amount": "0.005"}])
    first, second = the_main_job(SMALL, media)
    rows = [line.split(",") for line in SMALL.read_text().splitlines()[1:]]
    inputs, outputs = (sum(int(row[column]) for row in rows) for column in (1, 2))
    assert inputs > 1000
    assert Event.objects.count() == len(rows) == 12
    lines = {line.description: line for line in second.lines.all()}
    assert {name: line.quantity for name, line in lines.items() if line.kind == "usage"} == {
        "Input tokens": inputs, "Output tokens": outputs}  # fmt: skip
    assert lines["Input tokens"].amount == round(10 + (inputs - 1000) * Decimal("0.005"), 2)
    assert first.total == Decimal("500.00")
    record_payment(
        invoice_id=first.id, amount=first.total, received_on=date(2023, 11, 20), reference="T-1", user=None,
        now=datetime(2023, 11, 20, 12, tzinfo=UTC),
    )  # fmt: skip
    recognise(through=date(2023, 11, 30), now=datetime(2023, 12, 1, 9, tzinfo=UTC))
    balance = {}
    for line in JournalLine.objects.select_related("account"):
        balance[line.account.code] = balance.get(line.account.code, Decimal(0)) + line.debit - line.credit
    usage_revenue = lines["Input tokens"].amount + lines["Output tokens"].amount
    assert balance == {
        "1000": Decimal(500), "1100": second.total, "1150": Decimal(0), "2100": Decimal(-500),
        "4000": Decimal(-500), "4010": -usage_revenue,
    }  # fmt: skip
    assert [each.amount for each in ScheduleLine.objects.order_by("month")] == [Decimal(500), Decimal(500)]
    assert ties().hold
    text = pdf_text(second)
    assert "Zażółć Γειά Київ 株式会社" in text
    assert f"USD {second.total:,.2f}" in text


if "METERBOOK_TRACES" in os.environ:

    def test_a_real_trace_of_a_language_model_service(media: Path) -> None:
        """One hour of a production service (Azure Public Dataset): 8,819 requests, one event a row."""
        sell_tokens()
        trace = Path(os.environ["METERBOOK_TRACES"]) / "AzureLLMInferenceTrace_code.csv"
        first, second = the_main_job(trace, media)
        assert Event.objects.count() == 8819
        assert first.total == Decimal("500.00")
        assert [(line.description, line.quantity, line.amount) for line in second.lines.all()] == [
            ("Platform fee", Decimal(1), Decimal("500.00")),
            ("Input tokens", Decimal(18059974), Decimal("46.12")),
            ("Output tokens", Decimal(245896), Decimal("3.69")),
        ]
        assert second.total == Decimal("549.81")
        text = pdf_text(second)
        for words in ("18,059,974", "46.12", "245,896", "3.69", "500.00", "USD 549.81"):
            assert words in text
