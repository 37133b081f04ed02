"""Lists and pages cost the same number of queries however many rows they have; the numbers are committed."""

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from billing.catalog.coupons.models import Coupon
from billing.catalog.models import Plan
from billing.catalog.services import new_version
from billing.catalog.units.models import ConversionRate, CustomUnit
from billing.invoicing.holds.models import Hold
from billing.invoicing.late.models import InvoicingPolicy
from billing.invoicing.models import BillingRun, Invoice
from billing.verification.models import Difference, Verification
from customers.models import Contract
from revenue.ledger.models import JournalEntry
from tests import factories
from tests.admin.conftest import make_business
from tests.billing.invoicing.agreed import agreed, apply, make_coupon

pytestmark = pytest.mark.django_db
FILE = Path(__file__).with_name("query_counts.json")
LISTS = (
    "customers_customer", "customers_contract", "customers_legalentity", "billing_product", "billing_plan",
    "billing_planversion", "billing_meter", "billing_apikey", "billing_billingrun", "billing_invoice",
    "billing_payment", "revenue_account", "revenue_accountingperiod", "revenue_journalentry", "revenue_obligation",
    "billing_eventmonth", "billing_usagealert", "billing_customunit", "billing_coupon", "billing_contractterm",
    "billing_hold", "billing_invoicingpolicy", "billing_assessment", "billing_approvalpolicy", "billing_verification",
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
        "line page": reverse("admin:billing_invoice_line", args=[issued.pk, 1]),
        "usage line page": reverse("admin:billing_invoice_line", args=[issued.pk, 3]),
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
        "billing_coupon page": reverse("admin:billing_coupon_change", args=[Coupon.objects.earliest("pk").pk]),
        "billing_hold page": reverse("admin:billing_hold_change", args=[Hold.objects.earliest("pk").pk]),
        "billing_verification page": reverse(
            "admin:billing_verification_change", args=[Verification.objects.earliest("pk").pk]
        ),
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


def _make_engine_rows(contracts: list[Contract]) -> None:
    """What each contract agreed, redeemed and waits for, and verifications that name every invoice."""
    coupon = make_coupon()
    for number, contract in enumerate(contracts):
        apply(coupon, contract)
        make_coupon(f"C-{number}")
        agreed(contract, "minimum_spend", amount="10")
        InvoicingPolicy.objects.create(
            contract=contract, since=date(2023, 11, 1), zero="issue", reason="Agreed", recorded_at=factories.NOW
        )
        Hold.objects.create(
            contract=contract, code="unreadable", sentence="Mend the events.", amount=Decimal(5),
            first_seen_at=factories.NOW, last_seen_at=factories.NOW,
        )  # fmt: skip
        found = Verification.objects.create(started_at=factories.NOW)
        Difference.objects.bulk_create(
            Difference(verification=found, invoice=each, reasons=["It differs."]) for each in Invoice.objects.all()
        )


def _counts(client: Any) -> dict[str, int]:
    return {name: _count(client, url) for name, url in _pages().items()}


def test_it_works(sign_in: Any) -> None:
    make_business()
    assert _count(sign_in("admin"), reverse("admin:index")) > 0


@pytest.mark.parametrize("customers", [3, 30])
def test_counts_are_the_committed_ones_with_few_rows_and_with_many(customers: int, sign_in: Any) -> None:
    _make_engine_rows(make_business(customers).contracts)
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
