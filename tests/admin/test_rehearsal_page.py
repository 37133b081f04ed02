"""“Next invoices” on a contract: what comes, with which usage, and what cannot be told."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from billing.invoicing.holds.models import Hold
from billing.invoicing.models import Invoice, InvoiceLine
from config import clock
from customers.models import Contract
from tests.factories import (
    bill,
    fee,
    make_contract,
    make_customer,
    make_entity,
    make_meter,
    make_subscription,
    make_version,
    send_events,
    usage,
)

pytestmark = pytest.mark.django_db
NOW = datetime(2024, 1, 16, tzinfo=UTC)


@pytest.fixture
def contract() -> Contract:
    """A fee of 100 a month in advance and 0.10 a token; 120 tokens in December, half of them before the 16th."""
    contract = make_contract()
    make_subscription(contract, make_version(fee(amount="100"), usage(model="per_unit", unit_amount="0.10")))
    for day, tokens in (("2023-12-10", 60), ("2023-12-20", 60), ("2024-01-05", 10)):
        send_events(subject=contract.customer.external_id, data={"tokens": tokens}, time=f"{day}T00:00:00Z", now=NOW)
    return contract


def address(contract: Contract) -> str:
    return reverse("admin:billing_next_invoices", args=[contract.pk])


def asked(client: Any, contract: Contract, /, **query: Any) -> Any:
    with clock.set_to(NOW):
        return client.get(address(contract), query)


def sent(client: Any, contract: Contract, text: str | bytes) -> Any:
    content = text if isinstance(text, bytes) else text.encode()
    with clock.set_to(NOW):
        return client.post(address(contract), {"file": SimpleUploadedFile("usage.csv", content)})


def totals(response: Any) -> list[str]:
    return [card["total"] for card in response.context["cards"]]


def test_it_works(sign_in: Any, contract: Contract) -> None:
    response = asked(sign_in("RevOps"), contract)
    assert totals(response) == ["USD 312.00", "USD 107.00", "USD 112.00"]
    shown = response.content.decode()
    assert "2024-02-01 · Invoice" in shown
    assert "2024-01-01 – 2024-01-31" in shown
    assert "Nothing is written" in shown
    assert (Invoice.objects.count(), InvoiceLine.objects.count()) == (0, 0)


def test_the_first_so_many_are_shown(sign_in: Any, contract: Contract) -> None:
    client = sign_in("RevOps")
    assert totals(asked(client, contract, invoices=1)) == ["USD 312.00"]
    assert len(totals(asked(client, contract, invoices=6))) == 6


@pytest.mark.parametrize(("assume", "february"), [("none", "USD 101.00"), ("average", "USD 103.00")])
def test_usage_can_be_assumed_in_other_ways(sign_in: Any, contract: Contract, assume: str, february: str) -> None:
    assert totals(asked(sign_in("RevOps"), contract, assume=assume))[1] == february


@pytest.mark.parametrize("invoices", ["0", "25", "some"])
def test_a_number_that_is_none_is_told(sign_in: Any, contract: Contract, invoices: str) -> None:
    response = asked(sign_in("RevOps"), contract, invoices=invoices)
    assert "cards" not in response.context
    assert response.context["ask"].errors["invoices"]


def test_a_file_says_what_a_cycle_uses(sign_in: Any, contract: Contract) -> None:
    """The rest of the running cycle takes its share by time: 10 + 310 × 16/31."""
    rows = f"customer,meter,quantity\n{contract.customer.external_id},tokens,310\n"
    response = sent(sign_in("RevOps"), contract, rows)
    assert totals(response)[1:] == ["USD 117.00", "USD 131.00"]
    assert "With the quantities of usage.csv" in response.content.decode()


@pytest.mark.parametrize(("text", "sentence"), [
    ("who,what\n", "The first line names the columns: customer,meter,quantity."),
    ("customer,meter,quantity\nnobody,tokens,1\n", "Line 2: there is no customer “nobody”."),
    ("", "The file is empty"),
    (b"\xff\xfe\x00", "The file is not in UTF-8"),
])  # fmt: skip
def test_a_file_that_cannot_be_read_is_told(sign_in: Any, contract: Contract, text: Any, sentence: str) -> None:
    response = sent(sign_in("RevOps"), contract, text)
    assert sentence in response.content.decode()
    assert "cards" not in response.context


def test_a_draft_and_a_contract_without_subscriptions_say_so(sign_in: Any) -> None:
    client = sign_in("RevOps")
    draft = Contract.objects.create(
        number="K-draft", customer=make_customer(), entity=make_entity(), start=date(2024, 1, 1), currency="USD"
    )
    assert "Contract K-draft is a draft" in asked(client, draft).content.decode()
    assert "Nothing will be invoiced" in asked(client, make_contract()).content.decode()


def test_what_would_be_held_says_why(sign_in: Any, contract: Contract) -> None:
    """And counts as none of the invoices that were asked for."""
    send_events(subject=contract.customer.external_id, data={"tokens": "many"}, time="2024-01-06T00:00:00Z", now=NOW)
    response = asked(sign_in("RevOps"), contract, invoices=2)
    held = [card["problem"] for card in response.context["cards"] if card["problem"]]
    assert held[0].startswith("1 of ")
    assert "Would be held" in response.content.decode()
    assert Hold.objects.count() == 0


def test_on_an_invoice_of_several_contracts_each_line_says_whose_it_is(sign_in: Any, contract: Contract) -> None:
    other = make_contract(contract.customer, number="K-other")
    make_subscription(other, make_version(fee(amount="7"), plan="extra"))
    bill("2024-01-01", now=NOW)
    shown = asked(sign_in("RevOps"), contract).content.decode()
    assert "contract K-other" in shown
    assert f"contract {contract}" in shown


def test_a_price_that_needs_more_than_a_quantity_refuses_a_file(sign_in: Any) -> None:
    contract, meter = make_contract(), make_meter()
    price = {"model": "percentage", "rate": "2", "fixed_amount": "0.10"}
    make_subscription(contract, make_version(usage(meter=meter, **price)))
    rows = f"customer,meter,quantity\n{contract.customer.external_id},{meter.code},310\n"
    assert "this price needs more than that" in sent(sign_in("RevOps"), contract, rows).content.decode()


def test_only_those_who_see_invoices_see_it(sign_in: Any, contract: Contract) -> None:
    page = reverse("admin:customers_contract_change", args=[contract.pk])
    finance, engineer, nobody = sign_in("Finance"), sign_in("Engineer"), sign_in("nobody")
    assert "Next invoices" in finance.get(page).content.decode()
    assert asked(finance, contract).status_code == 200
    assert asked(engineer, contract).status_code == 403
    assert asked(nobody, contract).status_code == 403


def test_it_costs_the_same_with_one_line_and_with_many(sign_in: Any, contract: Contract) -> None:
    client = sign_in("RevOps")

    def queries() -> int:
        asked(client, contract)
        with CaptureQueriesContext(connection) as found:
            asked(client, contract)
        return len(found)

    few = queries()
    for number in range(8):
        make_subscription(contract, make_version(fee(f"fee-{number}"), plan=f"plan-{number}"), code=f"more-{number}")
    assert queries() == few
