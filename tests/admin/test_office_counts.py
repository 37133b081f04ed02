"""Lists and pages of the office, from taxes to customers’ questions: few rows cost as many queries as many."""

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse

from billing.catalog.models import Product
from billing.hosted.models import Dispute, HostedLink
from billing.hosted.services import ask, make_link
from billing.invoicing.bulk.models import BulkAction
from billing.invoicing.bulk.services import request_bulk
from billing.invoicing.bulk.states import Verb
from billing.invoicing.delivery.models import Delivery
from billing.invoicing.delivery.services import request_deliveries, write_letter
from billing.invoicing.models import Invoice
from billing.invoicing.taxes.services import set_rate, set_tax_code
from billing.payments.balance.models import BalanceAccount
from billing.payments.services import record_payment
from billing.payments.writeoffs.models import WriteOff
from billing.payments.writeoffs.services import request_write_off
from customers.models import Contract
from tests.admin.test_query_counts import _count
from tests.billing.issued import NOW, Line, make_contract, make_invoice

pytestmark = pytest.mark.django_db
FILE = Path(__file__).with_name("office_query_counts.json")
LISTS = (
    "taxrate",
    "producttax",
    "delivery",
    "mailtemplate",
    "balanceaccount",
    "writeoff",
    "bulkaction",
    "dispute",
    "hostedlink",
)
PAGES = (Delivery, BalanceAccount, WriteOff, BulkAction, Dispute, HostedLink, Invoice)


def _bill(contract: Contract) -> Invoice:
    return make_invoice(contract, [Line("Tokens", "100.00")])


def _pay_too_much(contract: Contract) -> None:
    record_payment(
        invoice_id=_bill(contract).pk, amount=Decimal(115), received_on=NOW.date(), reference="", user=None, now=NOW,
        keep_over=True,
    )  # fmt: skip


def _ask(invoice: Invoice) -> None:
    """By a link of its own, about its line."""
    link = make_link(invoice=invoice, user=None, now=NOW)
    ask(link=link, line=invoice.lines.get(), name="Eve", email="", question="Why?", now=NOW)


def _make_rows(rows: int) -> None:
    """So many of everything; one customer's balance moved as often, one bulk action has as many invoices."""
    contracts = [make_contract(f"C-{number}") for number in range(rows)]
    for number, contract in enumerate(contracts):
        _pay_too_much(contract)
        _pay_too_much(contracts[0])
        request_write_off(
            invoice_id=_bill(contract).pk, amount=Decimal(10), reason="gone", four_eyes=True, user=None, now=NOW
        )
        fact: Any = {"start": date(2023, 1, 1), "reason": "The law.", "now": NOW}
        product = Product.objects.create(code=f"product-{number}", name="API")
        set_tax_code(product=product, category="books", **fact)
        set_rate(code=f"vat-{number}", name="VAT", country="DE", percentage=Decimal(19), **fact)
        _ask(Invoice.objects.latest("pk"))
        _ask(Invoice.objects.earliest("pk"))
    issued = list(Invoice.objects.values_list("pk", flat=True))
    request_deliveries(invoice_ids=issued, user=None, now=NOW)
    for invoice in issued[:rows]:
        request_bulk(invoice_ids=[invoice], verbs=[Verb.SEND], user=None, now=NOW)
    request_bulk(invoice_ids=issued, verbs=[Verb.SEND], user=None, now=NOW)
    for language in ("en", "de", "fr", "ja")[:rows]:
        write_letter(entity=None, language=language, subject="{{ number }}", body="Hello", user=None, now=NOW)


def _counts(client: Any) -> dict[str, int]:
    """Of every list, and of the page of one thing: for a bulk action the one with all invoices."""
    lists = {f"{name} list": reverse(f"admin:billing_{name}_changelist") for name in LISTS}
    pages = {}
    for model in PAGES:
        name = model._meta.model_name
        chosen: Any = model._default_manager
        thing = chosen.latest("pk") if model is BulkAction else chosen.earliest("pk")
        pages[f"{name} page"] = reverse(f"admin:billing_{name}_change", args=[thing.pk])
    return {name: _count(client, url) for name, url in (lists | pages).items()}


def test_it_works(sign_in: Any) -> None:
    _make_rows(1)
    client = sign_in("Auditor")
    page = client.get(reverse("admin:billing_balanceaccount_changelist")).content.decode()
    assert "USD 30.00" in page


@pytest.mark.parametrize("rows", [2, 12])
def test_counts_are_the_committed_ones_with_few_rows_and_with_many(rows: int, sign_in: Any) -> None:
    _make_rows(rows)
    assert _counts(sign_in("admin")) == json.loads(FILE.read_text())
