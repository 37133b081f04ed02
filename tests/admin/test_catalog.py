"""What RevOps and Engineering do in the back office: prices, contracts, claims, meters, keys."""

import json
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.urls import reverse

from billing.catalog.models import PlanVersion, Subscription
from billing.catalog.wording import price_in_words
from billing.metering.keys import digest_of
from billing.metering.models import ApiKey
from billing.pricing import parse_price
from customers.models import Contract, UsageSubject
from revenue.ledger.models import AccountingPeriod

pytestmark = pytest.mark.django_db
PER_UNIT = {"model": "per_unit", "unit_amount": "0.02", "currency": "USD"}


def said(response: Any) -> str:
    return " ".join(str(message) for message in get_messages(response.wsgi_request))


def press(client: Any, name: str, thing: Any, **fields: Any) -> Any:
    """Submit the dialog of a button on a thing's page."""
    url = reverse(f"admin:{thing._meta.app_label}_{thing._meta.model_name}_{name}", args=[thing.pk])
    return client.post(url, {"_form_submitted": "True", **fields})


def version_form(version: PlanVersion, *charges: dict[str, Any]) -> dict[str, Any]:
    """The page of a draft version, filled in."""
    form: dict[str, Any] = {
        "note": "New", "charges-TOTAL_FORMS": len(charges), "charges-INITIAL_FORMS": sum("id" in c for c in charges),
        "charges-MIN_NUM_FORMS": 0, "charges-MAX_NUM_FORMS": 1000,
    }  # fmt: skip
    for place, charge in enumerate(charges):
        form |= {f"charges-{place}-{name}": value for name, value in charge.items()}
        form[f"charges-{place}-version"] = version.pk
    return form


def charge(**fields: Any) -> dict[str, Any]:
    given = {"code_name": "extra", "name": "Extra", "kind": "recurring", "pay": "in_advance", "position": 5,
             "price_json": json.dumps({"model": "flat", "amount": "5"})}  # fmt: skip
    return given | fields


def test_it_works(sign_in: Any, business: Any) -> None:
    version = business.draft_version
    url = reverse("admin:billing_planversion_change", args=[version.pk])
    rows = [
        {"id": each.pk, "code_name": each.code.code, "name": each.name, "kind": each.kind, "pay": each.pay,
         "meter": each.meter_id or "", "position": each.position, "price_json": json.dumps(PER_UNIT)}
        for each in version.charges.all()
    ]  # fmt: skip
    answer = sign_in("RevOps").post(url, version_form(version, *rows, charge()))
    assert answer.status_code == 302
    assert set(version.charges.values_list("code__code", flat=True)) == {"platform", "tokens", "extra"}
    assert version.charges.get(code__code="tokens").prices.get().price == PER_UNIT
    assert press(sign_in("admin"), "publish", version, reason="Its meter starts with it").status_code == 200
    version.refresh_from_db()
    assert version.state == "published"


def test_a_wrong_price_is_refused_with_the_path_to_it(sign_in: Any, business: Any) -> None:
    version = business.draft_version
    wrong = json.dumps([PER_UNIT, {"model": "graduated", "tiers": [{"up_to": "5", "unit_amount": "1"}]}])
    url = reverse("admin:billing_planversion_change", args=[version.pk])
    page = sign_in("RevOps").post(url, version_form(version, charge(price_json=wrong)))
    assert "price[1].tiers" in page.content.decode()
    assert version.charges.count() == 2


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"price_json": "{"}, "This is not JSON"),
        ({"price_json": json.dumps([PER_UNIT, PER_UNIT])}, "in the same currency"),
        ({"kind": "usage"}, "Usage needs a meter"),
        ({"price_json": '{"model": "flat", "amount": 1.5}'}, "price.amount"),
    ],
)
def test_a_charge_says_what_it_lacks(fields: dict[str, Any], sentence: str, sign_in: Any, business: Any) -> None:
    version = business.draft_version
    url = reverse("admin:billing_planversion_change", args=[version.pk])
    page = sign_in("RevOps").post(url, version_form(version, charge(**fields)))
    assert sentence in page.content.decode()
    assert version.charges.count() == 2


def test_a_published_version_is_read_only_and_says_its_prices_in_words(sign_in: Any, business: Any) -> None:
    url = reverse("admin:billing_planversion_change", args=[business.version.pk])
    client = sign_in("RevOps")
    page = client.get(url).content.decode()
    assert "USD 0.01 per token" in page
    assert "price_json" not in page
    assert client.post(url, version_form(business.version, charge())).status_code == 403


@pytest.mark.parametrize(
    ("price", "words"),
    [
        ({"model": "flat", "amount": "499"}, "USD 499.00 a period"),
        ({"model": "package", "package_size": "1000", "amount": "2"},
         "USD 2.00 per package of 1,000 tokens, a part counts whole"),
        ({"model": "graduated", "tiers": [{"up_to": "5000000", "unit_amount": "0.000003"},
                                          {"up_to": None, "unit_amount": "0.000002", "flat_amount": "1"}]},
         "Graduated: to 5,000,000 tokens at USD 0.000003 per token, "
         "beyond at USD 0.000002 per token plus USD 1.00 flat"),
        ({"model": "per_unit", "unit_amount": "3", "unit": {"divide_by": "1000000"}, "free_quantity": "2",
          "discounts": [{"percentage": "10"}]},
         "USD 3.00 per 1,000,000 tokens; the first 2,000,000 tokens free; less 10 %"),
    ],
)  # fmt: skip
def test_prices_are_said_in_words(price: dict[str, Any], words: str) -> None:
    assert price_in_words(parse_price(price), "token") == words


@pytest.mark.parametrize("role", ["Finance", "Engineer", "Auditor"])
def test_only_revops_publishes(role: str, sign_in: Any, business: Any) -> None:
    assert press(sign_in(role), "publish", business.draft_version).status_code == 403
    assert PlanVersion.objects.get(pk=business.draft_version.pk).state == "draft"


def test_a_new_version_starts_with_the_charges_of_the_latest(sign_in: Any, business: Any) -> None:
    answer = press(sign_in("RevOps"), "new_version", business.version.plan, note="From July")
    made = PlanVersion.objects.latest("pk")
    assert answer["HX-Redirect"] == reverse("admin:billing_planversion_change", args=[made.pk])
    assert (made.number, made.note, made.charges.count()) == (3, "From July", 2)


AS_ALWAYS = {"unused": "credit", "fees": "prorated", "gauges": "next_cycle"}


def alter(client: Any, subscription: Subscription, verb: str, **given: Any) -> Any:
    """Send the form of a change or an end, on a day."""
    url = reverse("admin:billing_changes_alter", args=[subscription.pk, verb])
    return client.post(url, {"when": "date", "reason": "Agreed by mail"} | given)


def test_a_contract_is_activated_subscribed_changed_and_ended(sign_in: Any, business: Any) -> None:
    revops = sign_in("RevOps")
    draft = Contract.objects.create(
        number="K-new", customer=business.customer, entity=business.contract.entity, start="2024-03-01", currency="USD"
    )
    alter(revops, business.contract.subscriptions.get(), "end", day="2024-02-29", unused="credit")
    press(revops, "activate", draft)
    assert Contract.objects.get(pk=draft.pk).state == "active"
    answer = press(revops, "subscribe", draft, version=business.version.pk, code="team", start="2024-03-01",
                   quantity="3")  # fmt: skip
    assert "team: Pro v1 from 2024-03-01." in said(answer)
    subscription = Subscription.objects.get(contract=draft)
    alter(revops, subscription, "change", day="2024-04-01", quantity="5", **AS_ALWAYS)
    page = revops.get(reverse("admin:customers_contract_change", args=[draft.pk])).content.decode()
    assert "Pro v1 × 3, from 2024-03-01 to 2024-04-01 (exclusive)" in page
    assert "Pro v1 × 5, from 2024-04-01" in page


def test_a_change_must_change_something(sign_in: Any, business: Any) -> None:
    page = alter(sign_in("RevOps"), business.contract.subscriptions.get(), "change", day="2024-02-01", **AS_ALWAYS)
    assert "Choose another plan version or quantity." in page.content.decode()


def test_a_change_shows_its_lines_before_it_is_made_and_is_undone_with_a_reason(sign_in: Any, business: Any) -> None:
    revops, mine = sign_in("RevOps"), business.contract.subscriptions.get()
    said = {"day": "2024-02-01", "version": business.version.pk, "quantity": "7", **AS_ALWAYS}
    page = alter(revops, mine, "change", preview="1", **said).content.decode()
    assert "The lines that this will make" in page
    assert "Nothing is changed yet." in page
    assert mine.changes.count() == 1
    alter(revops, mine, "change", **said)
    change = mine.changes.get(quantity=7)
    page = revops.get(reverse("admin:billing_subscription_change", args=[mine.pk])).content.decode()
    url = reverse("admin:billing_changes_undo", args=[mine.pk, "undo", change.pk])
    assert url in page
    assert "is taken back as if it had never been agreed" in revops.get(url).content.decode()
    assert "This field is required." in revops.post(url, {"reason": ""}).content.decode()
    assert "The lines that this will make" in revops.post(url, {"reason": "A slip", "preview": "1"}).content.decode()
    assert revops.post(url, {"reason": "A slip"}).status_code == 302
    change.refresh_from_db()
    assert (change.undone_reason, change.undone_by is not None) == ("A slip", True)


def test_the_buttons_of_a_contract_lead_to_the_page_of_its_subscription(sign_in: Any, business: Any) -> None:
    mine = business.contract.subscriptions.get()
    answer = press(sign_in("RevOps"), "change_terms", business.contract)
    assert answer.url == reverse("admin:billing_changes_alter", args=[mine.pk, "change"])


def test_only_revops_changes_subscriptions(sign_in: Any, business: Any) -> None:
    mine = business.contract.subscriptions.get()
    for role in ("Finance", "Engineer", "Auditor"):
        assert alter(sign_in(role), mine, "end", day="2024-03-01", unused="credit").status_code == 403
    assert alter(sign_in("RevOps"), mine, "burn").status_code == 404


def test_terms_of_an_active_contract_are_frozen_on_its_page(sign_in: Any, business: Any) -> None:
    url = reverse("admin:customers_contract_change", args=[business.contract.pk])
    page = sign_in("RevOps").get(url).content.decode()
    assert 'name="net_days"' in page
    assert 'name="currency"' not in page
    assert "Activate" not in page


@pytest.mark.parametrize("role", ["Finance", "Engineer", "Auditor"])
@pytest.mark.parametrize("button", ["activate", "subscribe", "change_terms", "end_subscription"])
def test_only_revops_changes_contracts(role: str, button: str, sign_in: Any, business: Any) -> None:
    assert press(sign_in(role), button, business.draft_contract).status_code == 403
    assert Contract.objects.get(pk=business.draft_contract.pk).state == "draft"


def test_activation_names_what_does_not_fit(sign_in: Any, business: Any) -> None:
    Contract.objects.filter(pk=business.draft_contract.pk).update(cadence="P2W", anchor_day=20)
    answer = press(sign_in("RevOps"), "activate", business.draft_contract)
    assert "anchored on a day from 1 (Monday) to 7 (Sunday)" in said(answer)


def claims_form(customer: Any, subject: str) -> dict[str, Any]:
    fields = {name: getattr(customer, name) for name in ("legal_name", "external_id", "currency", "timezone", "locale")}
    first = customer.subjects.get()
    rows = {"subjects-TOTAL_FORMS": 2, "subjects-INITIAL_FORMS": 1, "subjects-0-id": first.pk,
            "subjects-0-subject": first.subject, "subjects-1-subject": subject}  # fmt: skip
    rows |= {f"subjects-{place}-customer": customer.pk for place in (0, 1)}
    return fields | {"emails": "ap@example.com"} | rows


def test_a_subject_is_claimed_on_the_customers_page(sign_in: Any, business: Any) -> None:
    url = reverse("admin:customers_customer_change", args=[business.customer.pk])
    answer = sign_in("RevOps").post(url, claims_form(business.customer, "org_new"))
    assert answer.status_code == 302
    assert UsageSubject.objects.get(subject="org_new").customer == business.customer


def test_a_taken_subject_is_refused_with_the_name_of_who_has_it(sign_in: Any, business: Any) -> None:
    other = Contract.objects.get(pk=business.contract.pk).customer
    UsageSubject.objects.create(customer=other, subject="org_taken")
    fresh = type(other).objects.create(external_id="fresh", legal_name="Fresh")
    UsageSubject.objects.create(customer=fresh, subject="org_fresh")
    url = reverse("admin:customers_customer_change", args=[fresh.pk])
    page = sign_in("RevOps").post(url, claims_form(fresh, "org_taken"))
    assert f"{other} claims the subject “org_taken” since ever" in page.content.decode()


def test_a_taken_subject_is_refused_in_the_inbox(sign_in: Any, business: Any) -> None:
    url, revops = reverse("admin:billing_unmatched"), sign_in("RevOps")
    taken = {"subject": business.customer.external_id, "customer": business.customer.pk}
    assert "end that claim first" in revops.post(url, taken).content.decode()
    assert "end that claim first" in revops.post(url, taken | {"confirm": "1"}).content.decode()


@pytest.mark.parametrize("role", ["Finance", "Engineer", "Auditor"])
def test_only_revops_claims(role: str, sign_in: Any, business: Any) -> None:
    answer = sign_in(role).post(
        reverse("admin:billing_unmatched"), {"subject": "stranger", "customer": business.customer.pk}
    )
    assert answer.status_code == 403
    assert not UsageSubject.objects.filter(subject="stranger").exists()


def test_a_key_shows_its_secret_once_and_is_revoked(sign_in: Any, db: None) -> None:
    engineer = sign_in("Engineer")
    made = engineer.post(
        reverse("admin:billing_apikey_add"), {"name": "Gateway", "default_source": "gw", "scopes": ["ingest"]}
    )
    secret, key = made.context["secret"], ApiKey.objects.get()
    assert made.status_code == 200
    assert "no-store" in made["Cache-Control"]
    assert secret in made.content.decode()
    assert key.digest == digest_of(secret)
    assert secret not in engineer.get(reverse("admin:billing_apikey_change", args=[key.pk])).content.decode()
    press(engineer, "revoke", key)
    assert ApiKey.objects.get().revoked_at is not None


@pytest.mark.parametrize("role", ["RevOps", "Finance", "Auditor"])
def test_only_engineers_revoke_keys(role: str, sign_in: Any, business: Any) -> None:
    assert press(sign_in(role), "revoke", business.key).status_code == 403
    assert ApiKey.objects.get(pk=business.key.pk).revoked_at is None


def test_a_month_is_closed_by_finance_once_its_revenue_is_recognised(sign_in: Any, business: Any) -> None:
    finance, month = sign_in("Finance"), AccountingPeriod.objects.get(month="2023-12-01")
    early = press(finance, "close", month)
    assert "Recognise revenue through" in said(early)
    press(finance, "recognise", month)
    for period in AccountingPeriod.objects.filter(month__lte=month.month).order_by("month"):
        press(finance, "close", period)
    assert AccountingPeriod.objects.get(pk=month.pk).state == "closed"


@pytest.mark.parametrize("role", ["RevOps", "Engineer", "Auditor"])
def test_only_finance_closes(role: str, sign_in: Any, business: Any) -> None:
    month = AccountingPeriod.objects.earliest("month")
    assert press(sign_in(role), "close", month).status_code == 403
    assert press(sign_in("nobody"), "recognise", month).status_code == 403
