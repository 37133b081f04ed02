"""Invoices for the tests of what follows billing: written through the models, past every guard of the database."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import User

from billing.catalog.models import Charge, ChargeCode, Plan, PlanVersion, Product, Subscription
from billing.invoicing.models import Coverage, Invoice, InvoiceLine, NumberSeries, Slot, Stream
from billing.invoicing.snapshots import buyer_snapshot, seller_snapshot, terms_snapshot
from billing.invoicing.states import InvoiceState
from billing.invoicing.taxes.models import InvoiceTax
from customers.models import Contract, Customer, LegalEntity

NOW = datetime(2023, 12, 1, 9, 30, tzinfo=UTC)
NOVEMBER = (datetime(2023, 11, 1, tzinfo=UTC), datetime(2023, 12, 1, tzinfo=UTC))
DECEMBER = (datetime(2023, 12, 1, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=UTC))


@dataclass
class Line:
    """A line to put on an invoice; `code` tells streams apart."""

    description: str
    amount: str
    code: str = "tokens"
    kind: str = "usage"
    service: tuple[datetime, datetime] = NOVEMBER
    quantity: str | None = None
    unit: str = ""
    steps: list[tuple[str, str | None, str]] = field(default_factory=list)
    fraction: str = ""
    full_price: str = "0"
    corrects: InvoiceLine | None = None


def make_contract(number: str = "C-1", **changes: Any) -> Contract:
    """A contract of a seller in Warsaw with a customer; `customer__`, `entity__` and plain keys change fields."""
    seller = {
        "name": "Miernik Łódź Sp. z o.o.", "address": "ul. Piotrkowska 104\n90-926 Łódź", "country": "PL",
        "tax_id": "PL7251868300", "email": "billing@miernik.example",
        "bank_details": "mBank S.A.\nIBAN PL61 1090 1014 0000 0712 1981 2874\nBIC BREXPLPWMBK",
        "invoice_prefix": "INV-",
    }  # fmt: skip
    buyer = {
        "legal_name": "Acme Inc.", "emails": ["ap@acme.example"], "address_line1": "1 Main Street",
        "postal_code": "10115", "city": "Berlin", "country": "DE", "tax_id": "DE129273398", "locale": "en-GB",
    }  # fmt: skip
    own = {"po_number": "PO-4711", "start": date(2023, 1, 1), "currency": "USD"}
    for key, value in changes.items():
        target, _, name = key.rpartition("__")
        {"entity": seller, "customer": buyer, "": own}[target][name] = value
    entity, _ = LegalEntity.objects.get_or_create(code="seller", defaults=seller)
    customer, _ = Customer.objects.get_or_create(external_id=f"customer-{number}", defaults=buyer)
    return Contract.objects.create(number=number, customer=customer, entity=entity, **own)


def make_invoice(contract: Contract, lines: list[Line], *, tax: str = "0", state: str = "issued") -> Invoice:
    """An invoice in that state with these lines, numbered next in its entity's series, issued at NOW."""
    net = sum((Decimal(line.amount) for line in lines), Decimal(0))
    invoice = Invoice.objects.create(
        customer=contract.customer, contract=contract, entity=contract.entity, as_of=NOW.date(), created_at=NOW,
        updated_at=NOW, currency=contract.currency, net=net, tax=Decimal(tax), total=net + Decimal(tax),
    )  # fmt: skip
    for position, line in enumerate(lines, start=1):
        _add_line(invoice, position, line)
    if invoice.tax:  # of one rate, borne by the first line
        InvoiceLine.objects.filter(invoice=invoice, position=1).update(tax=invoice.tax)
        InvoiceTax.objects.create(
            invoice=invoice, position=1, code="vat", name="VAT", percentage=round(100 * invoice.tax / net, 6),
            treatment="standard", net=net, tax=invoice.tax,
        )  # fmt: skip
    if state == "draft":
        return invoice
    user, _ = User.objects.get_or_create(username="finance")
    invoice.state, invoice.approved_at, invoice.approved_by = InvoiceState.APPROVED, NOW, user
    invoice.save()
    if state == "approved":
        return invoice
    series, _ = NumberSeries.objects.get_or_create(entity=contract.entity)
    series.last_number += 1
    series.save()
    invoice.state, invoice.issued_at, invoice.issued_by = InvoiceState.ISSUED, NOW, user
    invoice.sequence = series.last_number
    invoice.number = f"{contract.entity.invoice_prefix}{series.last_number:06}"
    invoice.issue_date = NOW.date()
    invoice.due_date = NOW.date() + timedelta(days=contract.net_days)
    invoice.seller = seller_snapshot(contract.entity)
    invoice.buyer = buyer_snapshot(contract.customer)
    invoice.terms = terms_snapshot([contract])
    invoice.save()
    return invoice


def make_issued(total: str = "100.00", number: str = "C-1", **changes: Any) -> Invoice:
    """An issued invoice of one usage line of that amount."""
    return make_invoice(make_contract(number, **changes), [Line("Tokens", total)])


def _charge(code: str) -> Charge:
    product, _ = Product.objects.get_or_create(code="api", defaults={"name": "API"})
    charge_code, _ = ChargeCode.objects.get_or_create(product=product, code=code)
    plan, _ = Plan.objects.get_or_create(product=product, code="team", defaults={"name": "Team"})
    version, _ = PlanVersion.objects.get_or_create(plan=plan, number=1)
    return Charge.objects.get_or_create(
        version=version, code=charge_code, defaults={"name": code.title(), "kind": Charge.Kind.RECURRING}
    )[0]


def _add_line(invoice: Invoice, position: int, line: Line) -> None:
    """The line with its guard: a revision of its slot, or coverage of its stretch."""
    charge = _charge(line.code)
    subscription, _ = Subscription.objects.get_or_create(
        contract=invoice.contract, product=charge.code.product, code="main"
    )
    stream, _ = Stream.objects.get_or_create(
        contract=invoice.contract, subscription=subscription, charge_code=charge.code
    )
    amount = Decimal(line.amount)
    start, end = line.service
    steps = [
        {"label": label, "quantity": quantity, "unit_amount": None, "flat_amount": None, "amount": step}
        for label, quantity, step in line.steps
    ]
    made = InvoiceLine(
        invoice=invoice, position=position, stream=stream, kind=line.kind, charge=charge, corrects=line.corrects,
        description=line.description, service_start=start, service_end=end, fraction=line.fraction, unit=line.unit,
        quantity=None if line.quantity is None else Decimal(line.quantity), steps=steps, engine="1", amount=amount,
    )  # fmt: skip
    if line.kind == InvoiceLine.Kind.RECURRING:
        made.terms = {"amount": line.full_price, "cadence": "P1M", "quantity": "1", "discounts": []}
        made.save()
        Coverage.objects.create(stream=stream, line=made, start=start, end=end)
        return
    made.slot, _ = Slot.objects.get_or_create(stream=stream, kind=line.kind, cycle_start=start, cycle_end=end)
    last = made.slot.lines.filter(revision__isnull=False).order_by("-revision").first()
    made.revision = last.revision + 1 if last else 1
    made.billed_before = last.desired if last else Decimal(0)
    made.desired = made.billed_before + amount
    made.save()
