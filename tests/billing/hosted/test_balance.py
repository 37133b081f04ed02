"""The customer's page asks for what the balance left to pay, as the document does."""

from typing import Any

import pytest

from billing.invoicing.services import issue
from tests.billing.hosted.conftest import another_link
from tests.billing.issued import NOW, Line, make_invoice, make_issued
from tests.billing.test_balance import pay

pytestmark = pytest.mark.django_db


def test_what_came_from_the_balance_stands_below_the_total(client: Any) -> None:
    paid = make_issued("100.00")
    pay(paid, "150.00", keep_over=True)
    assert paid.contract is not None
    invoice = make_invoice(paid.contract, [Line("Tokens", "80.00")], state="approved")
    assert issue(invoice_ids=[invoice.pk], user=None, now=NOW).done
    invoice.refresh_from_db()
    page = client.get(another_link(invoice).path).content.decode()
    assert "From your balance" in page
    assert page.count("USD 30.00") >= 3  # in the box, in the table, and as what is still to pay
