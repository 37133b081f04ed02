"""Who pays is said and taken back on the page of a customer."""

from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.urls import reverse

from customers.models import Payer
from tests.factories import make_contract, make_customer

pytestmark = pytest.mark.django_db


def press(client: Any, button: str, customer: Any, **fields: Any) -> str:
    """Submit the dialog of a button; what the next page or the dialog says."""
    url = reverse(f"admin:customers_customer_{button}", args=[customer.pk])
    answer = client.post(url, {"_form_submitted": "True", **fields})
    return " ".join(map(str, get_messages(answer.wsgi_request))) or answer.content.decode()


def page(client: Any, customer: Any) -> str:
    return client.get(reverse("admin:customers_customer_change", args=[customer.pk])).content.decode()


def test_it_works(sign_in: Any) -> None:
    child, parent, sales = make_customer("child"), make_customer("parent"), sign_in("RevOps")
    contract = make_contract(child, number="C-7")
    assert "Take payer back" not in page(sales, child)
    said = press(sales, "set_payer", child, payer="parent", start="2023-11-01", reason="Group terms")
    assert said.startswith("All contracts: paid by Customer parent from 2023-11-01.")
    assert "Customer parent</a>" in page(sales, child)
    assert "Pays for" in page(sales, parent)
    terms = sales.get(reverse("admin:customers_contract_change", args=[contract.pk])).content.decode()
    assert "Customer parent</a>" in terms
    fact = Payer.objects.get()
    assert (fact.recorded_by.username, fact.reason, fact.contract) == ("revops", "Group terms", None)
    assert press(sales, "undo_payer", child, fact=fact.pk).startswith("Taken back: paid by Customer parent")
    assert "Customer parent</a>" not in page(sales, child)


def test_one_contract_can_be_paid_by_another(sign_in: Any) -> None:
    child, sales = make_customer("child"), sign_in("RevOps")
    make_customer("parent")
    contract = make_contract(child, number="C-7")
    said = press(sales, "set_payer", child, payer="parent", start="2023-11-01", contract=contract.pk)
    assert said.startswith("Contract C-7: paid by Customer parent")
    others = make_contract(make_customer("other"))
    press(sales, "set_payer", child, payer="parent", start="2023-11-01", contract=others.pk)
    assert Payer.objects.count() == 1


def test_a_customer_that_is_not_there_is_named(sign_in: Any) -> None:
    said = press(sign_in("RevOps"), "set_payer", make_customer("child"), payer="nobody", start="2023-11-01")
    assert "There is no customer with the id “nobody”" in said


@pytest.mark.parametrize("role", ["Finance", "Engineer", "Auditor"])
def test_only_those_who_may_change_customers_say_who_pays(role: str, sign_in: Any) -> None:
    child = make_customer("child")
    make_customer("parent")
    press(sign_in(role), "set_payer", child, payer="parent", start="2023-11-01")
    assert not Payer.objects.exists()
