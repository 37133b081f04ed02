"""The plan builder: its page saves all or nothing, and its questions answer anything that is sent."""

import json
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from billing.catalog.builder.starters import starters
from billing.catalog.models import Charge, Plan, PlanVersion
from billing.catalog.services import new_version
from billing.metering.models import Meter
from tests import factories
from tests.admin.test_catalog import charge, said, version_form

pytestmark = pytest.mark.django_db
GRADUATED = {"model": "graduated", "currency": "USD",
             "tiers": [{"up_to": "1000", "unit_amount": "0.10"}, {"up_to": None, "unit_amount": "0.08"}]}  # fmt: skip
VOLUME = GRADUATED | {"model": "volume"}


def ask(client: Any, name: str = "price", **body: Any) -> Any:
    url = reverse(f"admin:billing_builder_{name}")
    return client.post(url, json.dumps(body), content_type="application/json")


def many(version: PlanVersion, number: int) -> PlanVersion:
    """A draft with that many charges more."""
    draft = new_version(plan=version.plan)
    meter = factories.make_meter()
    for place in range(number):
        code = draft.plan.product.charge_codes.create(code=f"c{place}")
        each = Charge.objects.create(version=draft, code=code, name=f"Charge {place}", position=place, kind="usage",
                                     pay="in_arrears", meter=meter)  # fmt: skip
        each.prices.create(currency="USD", price=GRADUATED)
        each.prices.create(currency="EUR", price=GRADUATED | {"currency": "EUR"})
    return draft


def test_it_works(sign_in: Any) -> None:
    answer = ask(sign_in("RevOps"), price=VOLUME, unit="call", example={"quantity": "1,500"}).json()
    assert answer["problems"] == []
    assert answer["words"].startswith("Volume, all at the price of the tier reached: to 1,000 calls at USD 0.10")
    assert answer["warnings"][0].startswith("Above 1,000 calls the total falls from USD 100.00 to USD 80.00")
    assert (answer["example"]["said"], answer["example"]["total"]) == ("1,500 calls", "USD 120.00")
    assert [point["words"][1] for point in answer["curve"] if point["bound"]] == ["USD 100.00"]


def test_each_problem_stands_at_its_place(sign_in: Any) -> None:
    tiers = [{"up_to": "10", "unit_amount": "x"}, {"up_to": "5", "unit_amount": "1"}, {"up_to": "5"}, {"up_to": None}]
    answer = ask(sign_in("RevOps"), price={"model": "graduated", "tiers": tiers}).json()
    assert {each["path"] for each in answer["problems"]} == {"tiers[0].unit_amount", "tiers[2].up_to"}
    assert "curve" not in answer


def test_the_meter_says_the_unit_and_what_it_can_be_priced_by(sign_in: Any) -> None:
    meter = factories.make_meter(group_by=["model"])
    answer = ask(sign_in("RevOps"), price=GRADUATED, meter=str(meter.pk)).json()
    assert (answer["unit"], answer["units"], answer["dimensions"]) == ("token", "tokens", ["model"])


def test_a_customer_s_month_is_rated_as_the_invoice_would(sign_in: Any) -> None:
    meter, customer = factories.make_meter(), factories.make_customer("acme", legal_name="Acme Inc.")
    factories.send_events([{"subject": "acme", "time": "2023-11-10T08:00:00Z", "data": {"tokens": 1500}},
                           {"subject": "acme", "time": "2023-12-01T00:00:00Z", "data": {"tokens": 7}}])  # fmt: skip
    asked = {"customer": customer.pk, "month": "2023-11"}
    example = ask(sign_in("RevOps"), price=GRADUATED, meter=meter.pk, example=asked).json()["example"]
    assert example["said"] == "Acme Inc. in 2023-11: 1,500 tokens"
    assert [step["label"] for step in example["steps"]] == [
        "First 1,000 tokens at USD 0.10", "Above 1,000 tokens at USD 0.08",
    ]  # fmt: skip
    assert (example["steps"][1]["amount"], example["total"]) == ("USD 40.00", "USD 140.00")


@pytest.mark.parametrize(
    ("example", "sentence"),
    [
        ({"quantity": "many"}, "“many” is no quantity"),
        ({"quantity": None}, "is no quantity"),
        ({"customer": "", "month": "2023-11"}, "Choose a customer."),
        ({"customer": "9" * 30, "month": "2023-11"}, "Choose a customer."),
        ({"customer": [1], "month": "2023-11"}, "Choose a customer."),
    ],
)
def test_an_example_that_cannot_be_worked_says_why(example: Any, sentence: str, sign_in: Any) -> None:
    answer = ask(sign_in("RevOps"), price=GRADUATED, example=example)
    assert answer.status_code == 200
    assert sentence in answer.json()["example"]["problem"]


@pytest.mark.parametrize("month", ["", "2023-13", "11/2023", "0000-01", "9999-12", None, {"a": 1}])
def test_a_month_that_is_none_is_said_to_be_none(month: Any, sign_in: Any) -> None:
    asked = {"customer": factories.make_customer().pk, "month": month}
    answer = ask(sign_in("RevOps"), price=GRADUATED, meter=factories.make_meter().pk, example=asked)
    assert "is no month" in answer.json()["example"]["problem"]


GARBAGE: list[bytes] = [
    b"", b"{", b"[]", b"null", b"1", b'"x"', b"\xff\xfe", b"[" * 100_000, b'{"price": ' + b"1" * 5000 + b"}",
    b'{"price": {"model": []}}', b'{"price": {"model": "flat", "amount": "1", "currency": []}}', b'{"unit": 5}',
    b'{"price": {"model": "flat", "amount": "\\ud800"}}', b'{"price": {"\\u0000": 1}, "meter": {"a": 1}}',
    b'{"price": {"model": "graduated", "tiers": [[[]]]}}', b'{"text": 1, "names": 2}', b'{"text": "a", "names": [[]]}',
    b'{"text": "\\u0000,1\\r\\r2", "names": ["a"], "kind": "cells"}', b'{"text": "\\"a\\n1,2", "names": ["rate"]}',
    b'{"price": {"model": "flat", "amount": "1"}, "example": {"quantity": 1e400}}',
    b'{"price": {"model": "flat", "amount": "1"}, "example": {"quantity": "1e40"}, "log": 7}',
    b'{"price": {"model": "per_unit", "unit_amount": "-1", "discounts": [{"amount": "5"}]}, "example": [1]}',
]  # fmt: skip


@pytest.mark.parametrize("name", ["price", "paste"])
def test_garbage_is_answered_and_never_with_a_crash(name: str, sign_in: Any) -> None:
    client, url = sign_in("RevOps"), reverse(f"admin:billing_builder_{name}")
    for body in GARBAGE:
        answer = client.post(url, body, content_type="application/json")
        assert answer.status_code in (200, 400), body[:80]
        json.loads(answer.content)


@pytest.mark.parametrize("name", ["price", "paste"])
@pytest.mark.parametrize("role", ["Finance", "Engineer", "Auditor", "nobody"])
def test_only_who_may_edit_prices_is_answered(role: str, name: str, sign_in: Any) -> None:
    assert ask(sign_in(role), name, price=GRADUATED).status_code == 403


def test_outsiders_are_sent_to_sign_in_and_nothing_is_answered_to_a_link(client: Any, sign_in: Any) -> None:
    assert ask(client, price=GRADUATED).status_code == 302
    assert sign_in("RevOps").get(reverse("admin:billing_builder_price")).status_code == 405


def test_what_was_pasted_is_understood_by_row(sign_in: Any) -> None:
    answer = ask(sign_in("RevOps"), "paste", kind="cells", names=["model"], text="large\t2\nsmall\tx").json()
    assert answer["rows"][0]["understood"] == {"when": {"model": "large"}, "amount": "2"}
    assert "“x” is no number" in answer["rows"][1]["problem"]


def test_a_question_costs_the_same_queries_for_any_price(sign_in: Any, business: Any) -> None:
    client, asked = sign_in("RevOps"), {"customer": business.customer.pk, "month": "2023-11"}

    def queries(price: Any) -> int:
        ask(client, price=price, meter=business.meter.pk, example=asked)
        with CaptureQueriesContext(connection) as found:
            ask(client, price=price, meter=business.meter.pk, example=asked)
        return len(found)

    tiers = [{"up_to": str(bound), "unit_amount": "1"} for bound in range(1, 200)]
    assert queries(GRADUATED) == queries({"model": "graduated", "tiers": [*tiers, {"up_to": None}]}) == 14


@pytest.mark.parametrize("number", [1, 30])
def test_the_page_costs_the_same_queries_for_one_charge_and_for_thirty(
    number: int, sign_in: Any, business: Any
) -> None:
    client = sign_in("admin")
    url = reverse("admin:billing_planversion_change", args=[many(business.version, number).pk])
    client.get(url)
    with CaptureQueriesContext(connection) as queries:
        page = client.get(url).content.decode()
    assert page.count("data-charge data-prefix") == number + 1  # and the blank one that is copied
    assert len(queries) == 10


def test_the_page_works_without_a_script(sign_in: Any, business: Any) -> None:
    url = reverse("admin:billing_planversion_change", args=[business.draft_version.pk])
    client = sign_in("RevOps")
    page = client.get(url).content.decode()
    assert page.count('name="charges-0-price_json"') == 1
    assert 'href="?add=1"' in page
    assert 'name="charges-2-price_json"' in client.get(url + "?add=1").content.decode()


def test_every_field_of_a_charge_is_saved(sign_in: Any, business: Any) -> None:
    version = new_version(plan=business.version.plan)
    fields = {"cadence": "P3M", "proration": "day", "invoice_group": "Platform", "tax_code": "txcd_1", "unit": "seat",
              "revenue_treatment": "point"}  # fmt: skip
    url = reverse("admin:billing_planversion_change", args=[version.pk])
    assert sign_in("RevOps").post(url, version_form(version, charge(**fields))).status_code == 302
    made = version.charges.get()
    assert {name: getattr(made, name) for name in fields} == fields


def test_nothing_is_saved_when_one_of_several_charges_is_wrong(sign_in: Any, business: Any) -> None:
    version = new_version(plan=business.version.plan)
    wrong = charge(code_name="second", price_json=json.dumps(GRADUATED | {"tiers": [{"up_to": "5"}]}))
    url = reverse("admin:billing_planversion_change", args=[version.pk])
    page = sign_in("RevOps").post(url, version_form(version, charge(), wrong)).content.decode()
    assert "price.tiers[0].up_to: The last tier must be open" in page
    assert version.charges.count() == 0


def test_a_price_that_only_differs_in_blanks_is_not_written_again(sign_in: Any, business: Any) -> None:
    version = many(business.version, 1)
    row = version.charges.get()
    prices = [GRADUATED | {"currency": "EUR"}, GRADUATED]
    form = charge(id=row.pk, code_name="c0", name="Charge 0", kind="usage", pay="in_arrears", meter=row.meter_id,
                  position=0, price_json=json.dumps(prices, indent=4).replace("\n", "\r\n"))  # fmt: skip
    url = reverse("admin:billing_planversion_change", args=[version.pk])
    with CaptureQueriesContext(connection) as queries:
        assert sign_in("RevOps").post(url, version_form(version, form)).status_code == 302
    assert not [
        each for each in queries if each["sql"].startswith(("UPDATE", "INSERT")) and "chargeprice" in each["sql"]
    ]


def test_a_fee_has_no_window(sign_in: Any, business: Any) -> None:
    version = new_version(plan=business.version.plan)
    url = reverse("admin:billing_planversion_change", args=[version.pk])
    page = sign_in("RevOps").post(url, version_form(version, charge(window="hour"))).content.decode()
    assert "Only usage is priced by hours or days" in page


def start_form(code: str, **changes: str) -> dict[str, str]:
    """The form of a ready-made plan as its page proposes it."""
    found = next(each for each in starters() if each.code == code)
    plan = found.plan
    names = {"product_name": plan.product_name, "product_code": plan.product, "plan_name": plan.plan_name,
             "plan_code": plan.plan}  # fmt: skip
    return names | {f"meter-{meter.code}": "new" for meter in found.meters} | changes


@pytest.mark.parametrize("code", [each.code for each in starters()])
def test_every_ready_made_plan_becomes_a_draft_that_can_be_published(code: str, sign_in: Any) -> None:
    client, url = sign_in("RevOps"), reverse("admin:billing_plan_start_from", args=[code])
    assert client.get(url).status_code == 200
    assert Plan.objects.count() == 0  # looking makes nothing
    answer = client.post(url, start_form(code))
    version = PlanVersion.objects.get()
    assert answer["Location"] == reverse("admin:billing_planversion_change", args=[version.pk])
    assert "is a draft: change its prices to yours" in said(answer)
    assert version.charges.count() == len(next(each for each in starters() if each.code == code).plan.charges)
    assert client.get(answer["Location"]).status_code == 200


def test_a_meter_that_counts_the_same_is_proposed_and_used(sign_in: Any) -> None:
    mine = factories.make_meter("requests", event_type="api.call", aggregation="count", value="", unit="request")
    client, url = sign_in("RevOps"), reverse("admin:billing_plan_start_from", args=["api-calls"])
    assert "Use “Requests” (requests), which counts the same" in client.get(url).content.decode()
    client.post(url, start_form("api-calls") | {"meter-api-calls": str(mine.pk)})
    assert PlanVersion.objects.get().charges.get(kind="usage").meter == mine
    assert Meter.objects.count() == 1


def test_a_code_that_is_taken_by_another_meter_gets_a_number(sign_in: Any) -> None:
    factories.make_meter("api-calls", event_type="other")
    client, url = sign_in("RevOps"), reverse("admin:billing_plan_start_from", args=["api-calls"])
    client.post(url, start_form("api-calls"))
    assert PlanVersion.objects.get().charges.get(kind="usage").meter.code == "api-calls-2"


def test_starting_twice_makes_a_second_plan_and_nothing_by_halves(sign_in: Any) -> None:
    client, url = sign_in("RevOps"), reverse("admin:billing_plan_start_from", args=["seats"])
    client.post(url, start_form("seats"))
    page = client.post(url, start_form("seats")).content.decode()
    assert "There is a plan of this code: choose another one." in page
    assert "workspace-team-2" in client.get(url).content.decode()
    page = client.post(url, start_form("seats", plan_code="mine", product_name="Other")).content.decode()
    assert "The product of this code is called “Workspace”: write that name." in page
    assert (Plan.objects.count(), Meter.objects.count()) == (1, 1)


@pytest.mark.parametrize("role", ["Finance", "Engineer", "Auditor"])
def test_only_revops_starts_a_plan(role: str, sign_in: Any) -> None:
    client = sign_in(role)
    assert client.get(reverse("admin:billing_plan_start")).status_code == 403
    assert client.post(reverse("admin:billing_plan_start_from", args=["seats"]), start_form("seats")).status_code == 403


def test_an_unknown_template_is_not_found(sign_in: Any) -> None:
    assert sign_in("RevOps").get(reverse("admin:billing_plan_start_from", args=["nothing"])).status_code == 404
