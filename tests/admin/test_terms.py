"""What RevOps agrees beyond the plan, in the back office: forms, tables, and what holds on a day."""

import json
from datetime import date
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from billing.catalog.models import Charge, Subscription
from billing.catalog.terms.admin import FORMS, ICONS
from billing.catalog.terms.models import SubscriptionTerm
from billing.catalog.terms.services import add_charge, make_ramp, remove_charge
from tests.billing.catalog.terms.helpers import WHY, agree, per_unit, subscribed
from tests.factories import amounts, bill, fee, make_contract, make_meter, make_subscription, make_version, usage

pytestmark = pytest.mark.django_db
TIERS = {"model": "graduated", "tiers": [
    {"up_to": "100", "unit_amount": "0.10"}, {"up_to": None, "unit_amount": "0.01"}]}  # fmt: skip
SEATS = {"code": "seats", "kind": "recurring", "unit": "seat", "price": per_unit("30")}


def plan() -> Subscription:
    return subscribed(fee(), SEATS, usage(**TIERS))


def submit(client: Any, subscription: Subscription, form: str, /, **fields: str) -> Any:
    given = {"start": "2023-11-01", "reason": "Order form of 3 May"} | fields
    return client.post(reverse("admin:billing_terms_agree", args=[subscription.pk, form]), given)


def shown(client: Any, subscription: Subscription) -> str:
    return client.get(reverse("admin:billing_subscription_change", args=[subscription.pk])).content.decode()


def in_force(client: Any, subscription: Subscription, day: str) -> str:
    return client.get(reverse("admin:billing_terms_on", args=[subscription.pk]) + f"?on={day}").content.decode()


def said(response: Any) -> str:
    return " ".join(str(message) for message in get_messages(response.wsgi_request))


def test_it_works(sign_in: Any) -> None:
    subscription, client = plan(), sign_in("RevOps")
    answer = submit(client, subscription, "discount", code="tokens", what="percentage", figure="10", periods="3")
    assert answer["Location"] == reverse("admin:billing_subscription_change", args=[subscription.pk])
    assert said(answer) == "Discount: agreed. The next billing run counts it."
    term = SubscriptionTerm.objects.get()
    assert (term.value, term.recorded_by.username, term.reason) == (
        {"percentage": "10"},
        "revops",
        "Order form of 3 May",
    )
    page = shown(client, subscription)
    for text in ("less 10 %", "3 periods", "2024-02-01", "Order form of 3 May", "revops"):
        assert text in page


FILLED: dict[str, tuple[dict[str, str], list[tuple[str, dict[str, Any]]]]] = {
    "price": ({"code": "platform", "price": '{"model": "flat", "amount": "80"}'},
              [("price", {"price": {"model": "flat", "currency": "USD", "amount": "80"}})]),
    "factor": ({"code": "", "factor": "0.9"}, [("factor", {"factor": "0.9"})]),
    "tiers": ({"code": "tokens", "up_to_0": "100", "unit_amount_0": "0.2", "flat_amount_1": "5"},
              [("tiers", {"tiers": [{"up_to": "100", "unit_amount": "0.2"}, {"up_to": None, "flat_amount": "5"}]})]),
    "discount": ({"code": "platform", "what": "amount", "figure": "5"}, [("discount", {"amount": "5"})]),
    "allowance": ({"code": "tokens", "quantity": "50", "mode": "replace"},
                  [("allowance", {"quantity": "50", "mode": "replace"})]),
    "limits": ({"code": "tokens", "least": "5", "most": "9"},
               [("minimum", {"amount": "5"}), ("maximum", {"amount": "9"})]),
    "quantity": ({"code": "seats", "quantity": "12"}, [("quantity", {"quantity": "12"})]),
    "ramp": ({"kind": "price", "code": "platform", "from_0": "2023-11-01", "figure_0": "50", "from_1": "2024-01-01",
              "figure_1": "75"},
             [("price", {"price": {"model": "flat", "currency": "USD", "amount": amount}}) for amount in ("50", "75")]),
    "commitment": ({"amount": "500", "per": "term", "overage_factor": "0.8", "counted": "tokens", "end": "2024-11-01"},
                   [("commitment", {"amount": "500", "overage_factor": "0.8", "charges": ["tokens"], "per": "term",
                                    "name": ""})]),
    "spend": ({"least": "100"}, [("minimum_spend", {"amount": "100"})]),
    "add": ({"code": "support", "name": "Support", "kind": "recurring", "pay": "in_advance", "position": "9",
             "price": '{"model": "flat", "amount": "7"}'}, [("add", {})]),
    "remove": ({"code": "platform"}, [("remove", {})]),
    "part": ({"code": "tokens", "name_0": "region", "values_0": "eu, us", "name_1": "tier", "values_1": "paid"},
             [("narrowing", {"filters": {"region": ["eu", "us"], "tier": "paid"}})]),
    "meter": ({"code": "tokens"}, [("meter", {})]),
}  # fmt: skip


@pytest.mark.parametrize("kind", FORMS)
def test_each_kind_is_agreed_by_its_form_and_said_in_words(kind: str, sign_in: Any) -> None:
    subscription, client = plan(), sign_in("RevOps")
    fields, wanted = FILLED[kind]
    calls = make_meter("calls", aggregation="count", value="")
    if kind == "meter":
        fields = fields | {"meter": str(calls.pk)}
    page = client.get(reverse("admin:billing_terms_agree", args=[subscription.pk, kind])).content.decode()
    assert FORMS[kind].about.replace("'", "&#x27;") in page
    answer = submit(client, subscription, kind, **fields)
    assert answer.status_code == 302, answer.content.decode()
    found = [(term.kind, term.value) for term in SubscriptionTerm.objects.order_by("start", "pk")]
    assert found == wanted
    assert "Order form of 3 May" in shown(client, subscription)
    assert in_force(client, subscription, "2024-01-01").count('role="alert"') == 0


def test_every_kind_is_offered_with_its_picture(sign_in: Any) -> None:
    page = sign_in("RevOps").get(reverse("admin:billing_terms_choose", args=[plan().pk])).content.decode()
    assert FILLED.keys() == FORMS.keys() == ICONS.keys()
    assert all(form.title in page for form in FORMS.values())


@pytest.mark.parametrize(
    ("kind", "fields", "sentence"),
    [
        ("discount", {"code": "", "what": "amount", "figure": "5"}, "taken off one charge: choose which"),
        ("discount", {"what": "percentage", "figure": "5", "end": "2024-01-01", "periods": "2"}, "not both"),
        ("discount", {"what": "percentage", "figure": "-5"}, "greater than or equal to 0"),
        ("price", {"code": "platform", "price": "{"}, "Enter a valid JSON"),
        ("price", {"code": "platform", "price": "[1]"}, "Write one price"),
        ("price", {"code": "platform", "price": json.dumps({"model": "flat", "amount": 0.1})}, "is a JSON float"),
        ("price", {"code": "platform", "price": '{"model": "flat", "amount": "1", "currency": "EUR"}'}, "is in EUR"),
        ("tiers", {"code": "tokens"}, "Name at least one tier by its bound"),
        ("tiers", {"code": "tokens", "up_to_0": "7", "unit_amount_0": "1"}, "has no tier up to 7"),
        ("limits", {"code": "tokens"}, "Write the least, the most, or both."),
        ("limits", {"code": "tokens", "least": "9", "most": "5"}, "a minimum of 9 above its maximum of 5"),
        ("ramp", {"kind": "factor", "from_0": "2023-11-01"}, "What holds from that day on?"),
        ("ramp", {"kind": "price", "code": "tokens", "from_0": "2023-11-01", "figure_0": "1"}, "choose such a charge"),
        ("commitment", {"amount": "5", "per": "term", "overage_factor": "1"}, "commitment over its term needs an end"),
        ("add", {"code": "platform", "name": "P", "kind": "recurring", "pay": "in_advance", "position": "1",
                 "price": '{"model": "flat", "amount": "7"}'}, "would be charged twice"),
        ("quantity", {"code": "tokens", "quantity": "1"}, "Select a valid choice"),
        ("discount", {"what": "percentage", "figure": "5", "start": "2020-01-01"}, "choose dates within it"),
        ("discount", {"what": "percentage", "figure": "5", "reason": ""}, "This field is required"),
    ],
)  # fmt: skip
def test_what_is_wrong_stands_on_the_form(kind: str, fields: dict[str, str], sentence: str, sign_in: Any) -> None:
    answer = submit(sign_in("RevOps"), plan(), kind, **fields)
    assert answer.status_code == 200
    assert sentence in answer.content.decode().replace("&#x27;", "'")
    assert not SubscriptionTerm.objects.exists()
    assert not Charge.objects.filter(subscription__isnull=False).exists()


def test_a_term_is_ended_and_undone_with_a_reason(sign_in: Any) -> None:
    subscription, client = plan(), sign_in("RevOps")
    term = agree(subscription, "factor", factor="0.5")

    def stop(pk: int, verb: str, **fields: str) -> Any:
        url = reverse("admin:billing_terms_stop", args=[subscription.pk, pk, verb])
        assert client.get(url).status_code == 200
        return client.post(url, {"reason": "They asked"} | fields)

    assert stop(term.pk, "end", at="2023-12-01").status_code == 302
    ended = SubscriptionTerm.objects.get(superseded_at=None)
    assert (ended.replaces, f"{ended.end:%Y-%m-%d}") == (term, "2023-12-01")
    assert "meanwhile" in stop(term.pk, "undo").content.decode()
    assert stop(ended.pk, "undo").status_code == 302
    assert not SubscriptionTerm.objects.filter(superseded_at=None).exists()
    page = shown(client, subscription)
    assert page.count("Undid") == 1
    assert "Changed the end of" in page
    assert "Nothing: the plan holds as it was published." in page


def test_a_whole_ramp_is_undone_at_once(sign_in: Any) -> None:
    subscription, client = plan(), sign_in("RevOps")
    steps = [(date(2023, 11, 1), {"factor": "2"}), (date(2023, 12, 1), {"factor": "3"})]
    first, _ = make_ramp(subscription=subscription, kind="factor", steps=steps, **WHY)
    assert "step 1 of 2" in shown(client, subscription)
    url = reverse("admin:billing_terms_stop", args=[subscription.pk, first.pk, "undo-ramp"])
    assert client.post(url, {"reason": "They left"}).status_code == 302
    assert not SubscriptionTerm.objects.filter(superseded_at=None).exists()


def test_terms_in_force_tell_what_holds_on_a_day_and_where_it_comes_from(sign_in: Any) -> None:
    subscription, client = plan(), sign_in("Auditor")
    agree(subscription, "price", "platform", "2023-12-01", price={"model": "flat", "amount": "80"})
    agree(subscription, "discount", percentage="10", start="2023-12-01")
    agree(subscription, "narrowing", "tokens", "2023-12-01", filters={"region": {"not": "us"}})
    agree(subscription, "quantity", "seats", "2023-12-01", quantity="12")
    agree(subscription, "commitment", "", "2023-12-01", amount="500", per="cycle")
    before, then = in_force(client, subscription, "2023-11-30"), in_force(client, subscription, "2023-12-01")
    assert "USD 100.00 a period" in before
    assert "USD 80.00" not in before
    for text in ("USD 80.00 a period; less 10 %", "only where region is not us", ">12<", "Discount", "Pro v1",
                 "committed to USD 500.00 a period", "Commitment", "monthly", "metered"):  # fmt: skip
        assert text in then, text
    remove_charge(subscription=subscription, code="platform", start=date(2024, 1, 1), **WHY)
    assert "<s>Platform</s>" in in_force(client, subscription, "2024-01-01")
    assert "not in force on that day" in in_force(client, subscription, "2023-10-31")
    assert "USD" in in_force(client, subscription, "nonsense")


def test_only_those_who_subscribe_customers_agree_terms(sign_in: Any) -> None:
    subscription = plan()
    term = agree(subscription, "factor", factor="0.5")
    pages = [
        reverse("admin:billing_terms_choose", args=[subscription.pk]),
        reverse("admin:billing_terms_agree", args=[subscription.pk, "discount"]),
        reverse("admin:billing_terms_stop", args=[subscription.pk, term.pk, "undo"]),
    ]
    for role in ("Finance", "Auditor", "Engineer", "nobody"):
        client = sign_in(role)
        assert [client.post(page, {"reason": "x"}).status_code for page in pages] == [403] * 3
        wanted = 200 if role in ("Finance", "Auditor") else 403
        assert client.get(reverse("admin:billing_terms_on", args=[subscription.pk])).status_code == wanted
        assert client.get(reverse("admin:billing_subscription_change", args=[subscription.pk])).status_code == wanted
    assert SubscriptionTerm.objects.get().superseded_at is None


def test_who_may_not_agree_terms_is_offered_no_way_to(sign_in: Any) -> None:
    subscription = plan()
    agree(subscription, "factor", factor="0.5")
    revops, finance = (shown(sign_in(role), subscription) for role in ("RevOps", "Finance"))
    for offer in ("Agree a term", "Undo"):
        assert offer in revops
        assert offer not in finance


def test_addresses_of_nothing_answer_404(sign_in: Any) -> None:
    subscription, client = plan(), sign_in("RevOps")
    term = agree(subscription, "factor", factor="0.5")
    other = make_subscription(make_contract(), make_version(plan="other"))
    for name, args in (
        ("agree", [subscription.pk, "surprise"]), ("agree", [0, "discount"]), ("stop", [other.pk, term.pk, "undo"]),
        ("stop", [subscription.pk, term.pk, "forget"]), ("on", [0]),
    ):  # fmt: skip
        assert client.get(reverse(f"admin:billing_terms_{name}", args=args)).status_code == 404


def test_the_contracts_page_leads_to_its_subscriptions_and_counts_their_terms(sign_in: Any) -> None:
    subscription = plan()
    agree(subscription, "factor", factor="0.5")
    page = sign_in("RevOps").get(reverse("admin:customers_contract_change", args=[subscription.contract_id]))
    text = page.content.decode()
    assert reverse("admin:billing_subscription_change", args=[subscription.pk]) in text
    assert "1 own term" in text


COUNTS = {"list": 6, "page": 10, "agree": 6, "in force": 10}


@pytest.mark.parametrize("size", [1, 6])
def test_pages_cost_the_committed_number_of_queries_with_few_terms_and_with_many(size: int, sign_in: Any) -> None:
    version, client = make_version(fee(), SEATS, usage(**TIERS)), sign_in("admin")
    for _ in range(size):
        subscription = make_subscription(make_contract(), version)
    for place in range(size):
        agree(subscription, "discount", "tokens", percentage=str(place + 1))
        charge = Charge(name="Support", kind="recurring", pay="in_advance")
        add_charge(
            subscription=subscription, code=f"support-{place}", charge=charge, price={"model": "flat", "amount": "1"},
            start=date(2023, 11, 16), **WHY,
        )  # fmt: skip
    pages = {
        "list": reverse("admin:billing_subscription_changelist"),
        "page": reverse("admin:billing_subscription_change", args=[subscription.pk]),
        "agree": reverse("admin:billing_terms_agree", args=[subscription.pk, "ramp"]),
        "in force": reverse("admin:billing_terms_on", args=[subscription.pk]) + "?on=2023-12-01",
    }
    found = {}
    for name, url in pages.items():
        client.get(url)
        with CaptureQueriesContext(connection) as queries:
            assert client.get(url).status_code == 200
        found[name] = len(queries)
    assert found == COUNTS


def test_what_is_agreed_in_the_back_office_is_what_is_billed(sign_in: Any) -> None:
    subscription = subscribed(fee())
    submit(sign_in("RevOps"), subscription, "factor", code="platform", factor="0.9", end="2023-12-01")
    (draft,) = bill("2023-12-01")
    assert [f"{name} {amount:.2f}" for name, amount in amounts(draft)] == ["Platform 90.00", "Platform 100.00"]
