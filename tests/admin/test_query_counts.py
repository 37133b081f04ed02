"""Lists and pages cost the same number of queries however many rows they have; the numbers are committed."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from billing.catalog.models import Plan
from billing.catalog.services import new_version
from billing.catalog.units.models import ConversionRate, CustomUnit
from billing.invoicing.models import BillingRun, Invoice
from customers.models import Contract
from revenue.ledger.models import JournalEntry
from tests import factories
from tests.admin.conftest import make_business

pytestmark = pytest.mark.django_db
FILE = Path(__file__).with_name("query_counts.json")
LISTS = (
    "customers_customer", "customers_contract", "customers_legalentity", "billing_product", "billing_plan",
    "billing_planversion", "billing_meter", "billing_apikey", "billing_billingrun", "billing_invoice",
    "billing_payment", "revenue_account", "revenue_accountingperiod", "revenue_journalentry", "revenue_obligation",
    "billing_eventmonth", "billing_usagealert", "billing_customunit",
)  # fmt: skip


def _count(client: Any, url: str) -> int:
    client.get(url)  # the first visit fills caches (content types, templates)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert client.get(url).status_code == 200
    return len(queries)


def _pages() -> dict[str, str]:
    """Lists, and the pages that print many rows."""
    lists = {f"{name} list": reverse(f"admin:{name}_changelist") for name in LISTS}
    issued = Invoice.objects.filter(state="issued").earliest("pk")
    plan = Plan.objects.earliest("pk")
    sold, draft = plan.versions.earliest("pk"), plan.versions.latest("pk")
    pages = {
        "home": reverse("admin:index"),
        "billing_invoice page": reverse("admin:billing_invoice_change", args=[issued.pk]),
        "billing_billingrun page": reverse(
            "admin:billing_billingrun_change", args=[BillingRun.objects.latest("pk").pk]
        ),
        "customers_contract page": reverse(
            "admin:customers_contract_change", args=[Contract.objects.earliest("pk").pk]
        ),
        "billing_plan page": reverse("admin:billing_plan_change", args=[plan.pk]),
        "published version page": reverse("admin:billing_planversion_change", args=[sold.pk]),
        "draft version page": reverse("admin:billing_planversion_change", args=[draft.pk]),
        "publish dialog": reverse("admin:billing_planversion_publish", args=[draft.pk]),
        "compare": reverse("admin:billing_plan_compare") + f"?old={sold.pk}&new={draft.pk}",
        "plan file": reverse("admin:billing_planversion_json", args=[sold.pk]),
        "import": reverse("admin:billing_plan_import"),
        "revenue_journalentry page": reverse(
            "admin:revenue_journalentry_change", args=[JournalEntry.objects.earliest("pk").pk]
        ),
        "customer usage": reverse("admin:billing_customer_usage", args=[issued.customer_id]) + "?month=2023-11",
        "ingest health": reverse("admin:billing_ingest_health"),
        "unmatched": reverse("admin:billing_unmatched"),
        "explorer": reverse("admin:billing_usage") + "?preset=custom&first=2023-11-01&last=2023-11-30",
        "events": reverse("admin:billing_usage_events"),
        "event": reverse("admin:billing_event") + "?source=test&id=first-0",
        "find an event": reverse("admin:billing_event_search") + "?q=buyer",
        "live events": reverse("admin:billing_usage_live"),
        "live answer": reverse("admin:billing_usage_live_events"),
    }
    return lists | pages


def _counts(client: Any) -> dict[str, int]:
    return {name: _count(client, url) for name, url in _pages().items()}


def test_it_works(sign_in: Any) -> None:
    make_business()
    assert _count(sign_in("admin"), reverse("admin:index")) > 0


@pytest.mark.parametrize("customers", [3, 30])
def test_counts_are_the_committed_ones_with_few_rows_and_with_many(customers: int, sign_in: Any) -> None:
    make_business(customers)
    assert _counts(sign_in("admin")) == json.loads(FILE.read_text())


def _offers(plans: int, charges: int) -> dict[str, str]:
    """Plans with versions, charges, units and rates; the addresses of their pages."""
    for number in range(plans):
        rows = [factories.fee(f"fee-{place}") for place in range(charges)]
        sold = factories.make_version(*rows, plan=f"plan-{charges}-{number}", currencies=["EUR", "USD"])
        draft = new_version(plan=sold.plan, copy_of=sold)
        unit = CustomUnit.objects.create(code=f"unit-{charges}-{number}", name="Unit")
        ConversionRate.objects.create(unit=unit, currency="USD", rate=1, valid_from="2024-01-01")
    return {
        "plans": reverse("admin:billing_plan_changelist"),
        "plan": reverse("admin:billing_plan_change", args=[sold.plan_id]),
        "versions": reverse("admin:billing_planversion_changelist"),
        "sold": reverse("admin:billing_planversion_change", args=[sold.pk]),
        "draft": reverse("admin:billing_planversion_change", args=[draft.pk]),
        "publish": reverse("admin:billing_planversion_publish", args=[draft.pk]),
        "compare": reverse("admin:billing_plan_compare") + f"?old={sold.pk}&new={draft.pk}",
        "file": reverse("admin:billing_planversion_json", args=[sold.pk]),
        "units": reverse("admin:billing_customunit_changelist"),
    }


def test_pages_of_plans_cost_the_same_with_one_plan_and_with_many(sign_in: Any) -> None:
    client = sign_in("admin")
    few = {name: _count(client, url) for name, url in _offers(1, 1).items()}
    many = {name: _count(client, url) for name, url in _offers(12, 8).items()}
    assert few == many
