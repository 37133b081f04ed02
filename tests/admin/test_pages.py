"""Every page of the back office answers those who may see it, and nobody else."""

from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib import admin
from django.urls import reverse

from tests.admin.conftest import ROLES

pytestmark = pytest.mark.django_db

SELLING = ("customers.customer", "customers.contract", "billing.product", "billing.plan", "billing.planversion")
BOOKS = ("revenue.account", "revenue.accountingperiod", "revenue.journalentry", "revenue.obligation")
QUEUE = ("django_q.ormq", "django_q.failure", "django_q.success", "django_q.schedule")
# Who may open the list and the pages of each model, besides a superuser.
VIEWERS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(SELLING, ("RevOps", "Finance", "Auditor")),
    "customers.customer": ROLES,
    "customers.legalentity": ("RevOps", "Finance", "Auditor"),
    "billing.customunit": ("RevOps", "Finance", "Auditor"),
    "billing.meter": ROLES,
    "billing.apikey": ("Finance", "Engineer", "Auditor"),
    "billing.upload": ROLES,
    "billing.pullsource": ROLES,
    "billing.correction": ROLES,
    "billing.backfill": ROLES,
    "billing.eventconflict": ROLES,
    "billing.eventreject": ROLES,
    "billing.eventmonth": ROLES,
    "billing.usagealert": ROLES,
    "billing.billingrun": ("RevOps", "Finance", "Auditor"),
    "billing.hold": ("RevOps", "Finance", "Auditor"),
    "billing.usagetolerance": ("RevOps", "Finance", "Auditor"),
    "billing.verification": ("Finance", "Auditor"),
    "billing.subscription": ("RevOps", "Finance", "Auditor"),
    "billing.move": ("RevOps", "Finance", "Auditor"),
    "billing.contractterm": ("RevOps", "Finance", "Auditor"),
    "billing.coupon": ("RevOps", "Finance", "Auditor"),
    "billing.pricetrial": ("RevOps", "Finance", "Auditor"),
    "billing.experiment": ("RevOps", "Finance", "Auditor"),
    "billing.invoice": ("RevOps", "Finance", "Auditor"),
    "billing.invoicingpolicy": ("RevOps", "Finance", "Auditor"),
    "billing.delivery": ("RevOps", "Finance", "Auditor"),
    "billing.mailtemplate": ("RevOps", "Finance", "Auditor"),
    "billing.assessment": ("RevOps", "Finance", "Auditor"),
    "billing.approvalpolicy": ("RevOps", "Finance", "Auditor"),
    "billing.payment": ("Finance", "Auditor"),
    "billing.taxrate": ("RevOps", "Finance", "Auditor"),
    "billing.producttax": ("RevOps", "Finance", "Auditor"),
    "billing.balanceaccount": ("Finance", "Auditor"),
    "billing.writeoff": ("Finance", "Auditor"),
    "billing.bulkaction": ("Finance", "Auditor"),
    "billing.dispute": ("RevOps", "Finance", "Auditor"),
    "billing.hostedlink": ("RevOps", "Finance", "Auditor"),
    **dict.fromkeys(BOOKS, ("Finance", "Auditor")),
    **dict.fromkeys(QUEUE, ("Engineer",)),
    "auth.user": (),
    "auth.group": (),
}
ADDERS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(SELLING[:4], ("RevOps",)),
    "billing.customunit": ("RevOps",),
    "billing.coupon": ("RevOps",),
    "billing.move": ("RevOps",),
    "billing.pricetrial": ("RevOps", "Finance"),
    "billing.experiment": ("RevOps",),
    "customers.legalentity": ("Finance",),
    "billing.usagetolerance": ("Finance",),
    "billing.invoicingpolicy": ("Finance",),
    "billing.mailtemplate": ("Finance",),
    "billing.taxrate": ("Finance",),
    "billing.producttax": ("Finance",),
    "billing.approvalpolicy": ("Finance",),
    "billing.meter": ("RevOps", "Engineer"),
    "billing.apikey": ("Engineer",),
    "billing.upload": ("RevOps", "Engineer"),
    "billing.pullsource": ("RevOps", "Engineer"),
    "billing.correction": ("RevOps", "Engineer"),
}
NEVER_ADDED = {"billing.planversion", "billing.assessment", "billing.billingrun",
               "billing.hold", "billing.verification",
               "billing.invoice", "billing.delivery", "billing.payment", "billing.balanceaccount",
               "billing.writeoff", "billing.bulkaction", "billing.dispute", "billing.hostedlink", *BOOKS,
               "billing.backfill", "billing.eventconflict", "billing.eventreject", "billing.eventmonth",
               "billing.usagealert", "billing.subscription", "billing.contractterm",
               "django_q.ormq", "django_q.failure", "django_q.success"}  # fmt: skip
EVERYBODY = (*ROLES, "admin", "nobody")


def _label(model: Any) -> str:
    return f"{model._meta.app_label}.{model._meta.model_name}"


def _url(label: str, page: str, *args: Any) -> str:
    return reverse(f"admin:{label.replace('.', '_')}_{page}", args=args)


def test_it_works(sign_in: Any, business: SimpleNamespace) -> None:
    assert sign_in("admin").get(reverse("admin:index")).status_code == 200


def test_every_registered_page_stands_in_the_table() -> None:
    assert {_label(model) for model in admin.site._registry} == set(VIEWERS)


@pytest.mark.parametrize("role", EVERYBODY)
def test_lists_open_for_their_viewers_only(role: str, sign_in: Any, business: SimpleNamespace) -> None:
    client = sign_in(role)
    opened = {label for label in VIEWERS if client.get(_url(label, "changelist")).status_code == 200}
    assert opened == {label for label, roles in VIEWERS.items() if role in roles or role == "admin"}


@pytest.mark.parametrize("role", EVERYBODY)
def test_pages_of_single_things_open_for_their_viewers_only(role: str, sign_in: Any, business: Any) -> None:
    client = sign_in(role)
    things = {_label(model): model._default_manager.order_by("pk").first() for model in admin.site._registry}
    found = {label: thing for label, thing in things.items() if thing is not None}
    answers = {label: client.get(_url(label, "change", thing.pk)).status_code for label, thing in found.items()}
    may = {label: 200 if role in VIEWERS[label] or role == "admin" else 403 for label in found}
    assert answers == may
    assert len(found) >= 16


@pytest.mark.parametrize("role", EVERYBODY)
def test_things_are_added_by_those_who_make_them(role: str, sign_in: Any, db: None) -> None:
    client = sign_in(role)
    opened = {label for label in VIEWERS if client.get(_url(label, "add")).status_code == 200}
    everything = set(VIEWERS) - NEVER_ADDED
    assert opened == (everything if role == "admin" else {label for label, who in ADDERS.items() if role in who})


@pytest.mark.parametrize("role", EVERYBODY)
def test_usage_pages_open_for_those_who_see_meters(role: str, sign_in: Any, business: SimpleNamespace) -> None:
    client = sign_in(role)
    pages = [reverse("admin:billing_unmatched"), reverse("admin:billing_customer_usage", args=[business.customer.pk])]
    assert {client.get(page).status_code for page in pages} == {403 if role == "nobody" else 200}


@pytest.mark.parametrize("role", EVERYBODY)
def test_the_home_page_shows_each_role_only_its_own(role: str, sign_in: Any, business: SimpleNamespace) -> None:
    page = sign_in(role).get(reverse("admin:index"))
    names = {queue["name"] for queue in page.context["queues"]}
    assert page.status_code == 200
    assert ("Drafts to review" in names) == (role not in ("Engineer", "nobody"))
    assert ("Unmatched events" in names) == (role != "nobody")


def test_outsiders_are_sent_to_sign_in(client: Any, business: SimpleNamespace) -> None:
    pages = ["admin:index", "admin:billing_unmatched", "admin:billing_invoice_changelist"]
    answers = [client.get(reverse(page)) for page in pages]
    assert {answer.status_code for answer in answers} == {302}
    assert all("/admin/login/" in answer["Location"] for answer in answers)


def test_a_fresh_installation_says_what_to_do_first(sign_in: Any) -> None:
    page = sign_in("admin").get(reverse("admin:index")).content.decode()
    assert "First steps" in page
    assert "Create a meter first" in page
    assert reverse("admin:billing_meter_add") in page


def test_an_empty_list_says_what_comes_first(sign_in: Any) -> None:
    client = sign_in("admin")
    contracts = client.get(reverse("admin:customers_contract_changelist")).content.decode()
    assert "No contracts yet." in contracts
    assert "Create a customer first" in contracts
    assert "Create a legal entity first" in contracts
    assert "Drafts come from a billing run" in client.get(reverse("admin:billing_invoice_changelist")).content.decode()


def test_a_search_without_result_says_so(sign_in: Any, business: SimpleNamespace) -> None:
    page = sign_in("admin").get(reverse("admin:customers_customer_changelist") + "?q=nobody").content.decode()
    assert "Nothing matches." in page
