"""What contracts agree as a whole, and coupons, in the back office: forms, tables, and what a coupon would do."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from billing.catalog.agreements.models import ContractTerm
from billing.catalog.coupons.models import Coupon, Redemption
from billing.invoicing.models import Invoice, InvoiceLine
from customers.models import Contract
from tests.billing.invoicing.agreed import agreed, apply, make_coupon
from tests.factories import bill, fee, make_contract, make_subscription, make_version, usage

pytestmark = pytest.mark.django_db


def subscribed() -> Contract:
    return make_subscription(make_contract(), make_version(fee(), usage())).contract


def shown(client: Any, contract: Contract) -> str:
    return client.get(reverse("admin:billing_agreed", args=[contract.pk])).content.decode()


def said(response: Any) -> str:
    return " ".join(str(message) for message in get_messages(response.wsgi_request))


def agree(client: Any, contract: Contract, form: str, /, **fields: Any) -> Any:
    given = {"start": "2023-11-01", "reason": "Order form of 3 May"} | fields
    return client.post(reverse("admin:billing_agreed_agree", args=[contract.pk, form]), given)


def test_it_works(sign_in: Any) -> None:
    contract, client = subscribed(), sign_in("RevOps")
    assert "Nothing for the contract as a whole" in shown(client, contract)
    answer = agree(
        client, contract, "spending", kind="commitment", amount="1200", per="term", end="2024-11-01",
        overage_factor="0.8", charges=["tokens"], products=["api"], name="Year one",
    )  # fmt: skip
    assert answer["Location"] == reverse("admin:billing_agreed", args=[contract.pk])
    assert said(answer) == "Agreed. The next billing run counts it."
    page = shown(client, contract)
    words = "committed to USD 1,200.00 over the whole time, counting tokens; what goes beyond is charged × 0.8, of api"
    for text in (words, "Year one", "2024-11-01", "Order form of 3 May", "revops"):
        assert text in page
    assert "Agreements" in client.get(reverse("admin:customers_contract_change", args=[contract.pk])).content.decode()


def test_each_contract_year_has_an_amount_and_all_steps_are_undone_together(sign_in: Any) -> None:
    contract, client = subscribed(), sign_in("RevOps")
    agree(client, contract, "spending", kind="commitment", amount="1200", per="term", years="2400, 3600")
    rows = ContractTerm.objects.order_by("start")
    assert [(row.start.date(), row.end.date(), row.value["amount"], row.step) for row in rows if row.end] == [
        (date(2023, 11, 1), date(2024, 11, 1), "1200", 1), (date(2024, 11, 1), date(2025, 11, 1), "2400", 2),
        (date(2025, 11, 1), date(2026, 11, 1), "3600", 3),
    ]  # fmt: skip
    assert "Step 2 of 3" in shown(client, contract)
    first = rows[0]
    url = reverse("admin:billing_agreed_stop", args=[contract.pk, "term", first.pk, "undo-ramp"])
    assert "All steps" not in client.get(url).content.decode()
    client.post(url, {"reason": "Never signed"})
    assert not ContractTerm.objects.filter(superseded_at=None).exists()
    assert "Undid" in shown(client, contract)


def test_other_prices_beyond_and_a_discount_are_agreed_and_ended(sign_in: Any) -> None:
    contract, client = subscribed(), sign_in("RevOps")
    agree(
        client, contract, "spending", kind="commitment", amount="100",
        overage_prices='{"tokens": {"model": "per_unit", "unit_amount": "0.004"}}',
    )  # fmt: skip
    assert "what goes beyond costs anew: tokens USD 0.004 per unit" in shown(client, contract)
    agree(client, contract, "discount", what="percentage", figure="5")
    assert "5 % off each period" in shown(client, contract)
    term = ContractTerm.objects.get(kind="discount")
    url = reverse("admin:billing_agreed_stop", args=[contract.pk, "term", term.pk, "end"])
    client.post(url, {"at": "2024-02-01", "reason": "Expired"})
    assert ContractTerm.objects.get(kind="discount", superseded_at=None).identity == term.pk
    assert "2024-02-01" in shown(client, contract)


def test_what_does_not_fit_stands_on_the_form(sign_in: Any) -> None:
    contract, client = subscribed(), sign_in("RevOps")
    answer = agree(client, contract, "spending", kind="commitment", amount="100", per="term")
    assert "A commitment over its term needs an end" in answer.content.decode()
    assert "commas between them" in agree(
        client, contract, "spending", kind="commitment", amount="1", years="ten"
    ).content.decode()  # fmt: skip
    assert not ContractTerm.objects.exists()


def test_a_coupon_is_made_with_what_it_comes_off(sign_in: Any) -> None:
    contract, client = subscribed(), sign_in("admin")
    given = {
        "code": "SPRING", "name": "Spring offer", "percentage": "15", "duration": "cycles", "cycles": "3",
        "charges": ["tokens"], "redemptions-TOTAL_FORMS": "0", "redemptions-INITIAL_FORMS": "0",
    }  # fmt: skip
    answer = client.post(reverse("admin:billing_coupon_add"), given)
    assert answer.status_code == 302, answer.content.decode()
    coupon = Coupon.objects.get()
    assert (coupon.scope, coupon.codes, coupon.percentage) == ("charges", ["tokens"], Decimal(15))
    apply(coupon, contract)
    listed = client.get(reverse("admin:billing_coupon_changelist")).content.decode()
    for text in ("SPRING", "15 % off, for 3 periods, only tokens", "always", "active"):
        assert text in listed
    page = client.get(reverse("admin:billing_coupon_change", args=[coupon.pk])).content.decode()
    assert contract.number in page
    assert 'name="percentage"' not in page
    client.post(reverse("admin:billing_coupon_retire_coupon", args=[coupon.pk]))
    client.get(reverse("admin:billing_coupon_retire_coupon", args=[coupon.pk]))
    coupon.refresh_from_db()
    assert coupon.retired_at is not None


def test_it_shows_first_what_a_coupon_would_take_off_and_keeps_nothing(sign_in: Any) -> None:
    contract, client = subscribed(), sign_in("RevOps")
    coupon = make_coupon(percentage="20", duration="forever")
    url = reverse("admin:billing_coupon_apply", args=[contract.customer_id])
    given = {"coupon": coupon.pk, "contract": contract.pk, "start": "2023-11-01", "reason": "Campaign"}
    before = Invoice.objects.count(), InvoiceLine.objects.count()
    page = client.post(url, given | {"preview": "1"}).content.decode()
    assert "It takes off" in page
    assert "Coupon WELCOME: Platform" in page
    assert not Redemption.objects.exists()
    assert before == (Invoice.objects.count(), InvoiceLine.objects.count())
    answer = client.post(url, given)
    assert answer["Location"] == reverse("admin:billing_agreed", args=[contract.pk])
    (draft,) = bill("2023-11-01")
    assert draft.total == 80
    assert "20 % off, for ever" in shown(client, contract)
    redemption = Redemption.objects.get()
    stop = reverse("admin:billing_agreed_stop", args=[contract.pk, "coupon", redemption.pk, "end"])
    client.post(stop, {"at": "2024-01-01", "reason": "Over"})
    assert Redemption.objects.get(superseded_at=None).end == date(2024, 1, 1)
    again = client.post(url, given).content.decode()
    assert "stands already" in again


def test_who_may_only_look_sees_no_buttons_and_cannot_agree(sign_in: Any) -> None:
    contract = subscribed()
    agreed(contract, "minimum_spend", amount="300")
    client = sign_in("Finance")
    page = shown(client, contract)
    assert "at least USD 300.00 a period" in page
    assert "Agree spending" not in page
    assert agree(client, contract, "spending", kind="minimum_spend", amount="1").status_code == 403
    assert client.get(reverse("admin:billing_coupon_apply", args=[contract.customer_id])).status_code == 403
    assert sign_in("Engineer").get(reverse("admin:billing_agreed", args=[contract.pk])).status_code == 403


def test_the_page_costs_the_same_queries_however_much_is_agreed(sign_in: Any) -> None:
    contract, client = subscribed(), sign_in("RevOps")
    coupon = make_coupon()
    apply(coupon, contract)
    agreed(contract, "minimum_spend", amount="300")
    counts = []
    for rounds in range(2):
        with CaptureQueriesContext(connection) as captured:
            shown(client, contract)
        counts.append(len(captured))
        if rounds == 0:
            for amount in ("1", "2", "3"):
                agreed(contract, "commitment", amount=amount)
                apply(make_coupon(f"C{amount}"), contract)
    assert counts[0] == counts[1]
