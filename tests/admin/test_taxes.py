"""Taxes in the back office: rates are added and taken back, sellers and customers say from when how they are taxed."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.db.models import Model
from django.urls import reverse

from billing.catalog.models import Product
from billing.invoicing.taxes.models import ProductTax, TaxRate
from customers.backoffice import change_url
from customers.models import TaxSetup, TaxTreatment
from tests.factories import bill, make_contract, make_customer, make_entity, make_subscription

pytestmark = pytest.mark.django_db
WHEN = {"start": "2023-01-01", "reason": "The law."}


def press(client: Any, button: str, about: Model, **given: Any) -> str:
    """Send a dialog of a page; what it said, or its form with what is wrong."""
    url = reverse(f"admin:customers_{about._meta.model_name}_{button}", args=[about.pk])
    answer = client.post(url, {"_form_submitted": "True", **given})
    said = [str(each) for each in get_messages(answer.wsgi_request)]
    return said[-1] if said else str(answer.content.decode())


def add_rate(client: Any, **given: Any) -> str:
    rate = {"code": "de-vat", "name": "VAT", "country": "de", "percentage": "19", "position": "0"}
    answer = client.post(reverse("admin:billing_taxrate_add"), rate | WHEN | given, follow=True)
    return str(answer.content.decode())


def test_a_rate_is_added_shown_and_taken_back(sign_in: Any) -> None:
    client = sign_in("admin")
    assert (
        "Rates by country, tax code and day" in client.get(reverse("admin:billing_taxrate_changelist")).content.decode()
    )
    assert "in force" in add_rate(client)
    rate = TaxRate.objects.get()
    assert (rate.country, rate.percentage, rate.recorded_by.username) == ("DE", Decimal(19), "admin")
    assert "There is a rate de-vat from 2023-01-01" in add_rate(client, percentage="20")
    assert "Take back" in client.get(change_url(rate)).content.decode()
    client.get(reverse("admin:billing_taxrate_take_back", args=[rate.pk]))
    assert not TaxRate.objects.filter(undone_at=None).exists()
    add_rate(client, percentage="20")
    assert TaxRate.objects.get(undone_at=None).percentage == 20


def test_a_product_gets_a_tax_code(sign_in: Any) -> None:
    product = Product.objects.create(code="api", name="API")
    given = {"product": product.pk, "category": "books"} | WHEN
    page = sign_in("admin").post(reverse("admin:billing_producttax_add"), given, follow=True).content.decode()
    assert "books" in page
    assert ProductTax.objects.get().category == "books"


def test_a_seller_taxes_and_a_customer_is_taxed_from_a_day_on(sign_in: Any) -> None:
    client, entity, customer = sign_in("admin"), make_entity(), make_customer()
    add_rate(client)
    ways = {"provider": "table", "rounding": "document", "point": "service_end"}
    assert press(client, "set_up_tax", entity, **ways, **WHEN).startswith("Tax: table from 2023-01-01.")
    contract = make_contract(customer)
    make_subscription(contract)
    (draft,) = bill("2023-11-01")
    page = client.get(change_url(draft)).content.decode()
    assert "VAT 19 %" in page
    assert "on USD 100.00" in page
    assert "Take tax back" in client.get(change_url(entity)).content.decode()
    said = press(client, "take_setup_back", entity, fact=TaxSetup.objects.get().pk)
    assert said.startswith("Taken back: table from 2023-01-01.")


def test_the_dialog_of_a_customer_says_what_is_missing(sign_in: Any) -> None:
    client, customer = sign_in("admin"), make_customer()
    assert "Write the text that must be printed" in press(client, "set_tax", customer, treatment="exempt", **WHEN)
    untold = press(client, "set_tax", customer, treatment="reverse_charge", note="Reverse charge.", **WHEN)
    assert "needs the customer’s tax number" in untold
    done = press(client, "set_tax", customer, treatment="exempt", note="Exempt: a school.", **WHEN)
    assert done.startswith("Tax: Exempt from 2023-01-01.")
    assert "Exempt: a school." in client.get(change_url(customer)).content.decode()
    fact = TaxTreatment.objects.get()
    assert (fact.start, fact.country) == (date(2023, 1, 1), "")
    assert press(client, "take_treatment_back", customer, fact=fact.pk).startswith("Taken back: Exempt")
    assert "Exempt: a school." not in client.get(change_url(customer)).content.decode()


@pytest.mark.parametrize("role", ["Engineer", "Auditor"])
def test_others_may_not_say_how_anybody_is_taxed(role: str, sign_in: Any) -> None:
    client = sign_in(role)
    press(client, "set_up_tax", make_entity(), provider="table", rounding="line", point="service_end", **WHEN)
    press(client, "set_tax", make_customer(), treatment="exempt", note="x", **WHEN)
    assert client.get(reverse("admin:billing_taxrate_add")).status_code == 403
    assert not TaxSetup.objects.exists()
    assert not TaxTreatment.objects.exists()
