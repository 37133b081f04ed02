"""Late usage in a real browser: the report, and a draft that waits and is approved early with a reason."""

import os
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import Permission, User
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page, expect

from billing.invoicing.late.services import set_policy
from billing.invoicing.models import Invoice
from billing.metering.rollups.services import catch_up
from tests.billing.invoicing.test_late import correct, policy, tiered, use
from tests.factories import NOW, bill, bill_and_issue, make_contract, make_customer

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
LATER = datetime(2023, 12, 20, 8, 15, tzinfo=UTC)


def shot(page: Page, name: str) -> None:
    if folder := os.environ.get("SHOTS"):
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)


def test_finance_sees_what_came_late_and_approves_a_waiting_draft_with_a_reason(finance: Page) -> None:
    names = ["Northwind Robotics", "Basalt Labs", "Quiet Harbor AI", "Lumen Search"]
    contracts = [
        tiered(make_contract(make_customer(f"c-{place}", legal_name=name))) for place, name in enumerate(names)
    ]
    policy(contracts[1], late="apart")
    for place, contract in enumerate(contracts):
        use(contract, 900, id=f"a{place}")
    bill_and_issue("2023-12-01")
    catch_up()
    use(contracts[0], 1200, now=LATER)
    use(contracts[1], 30000, now=LATER - timedelta(days=3))
    correct(contracts[2], ["a2"], 600)
    bill("2024-01-01", *contracts[:3])
    use(contracts[3], 250, now=LATER)
    use(contracts[0], 80, now=LATER)
    finance.goto(reverse("admin:billing_late_usage") + "?month=2023-11")
    expect(finance.get_by_role("heading", name="Late usage")).to_be_visible()
    expect(finance.get_by_text("Waits for a run").first).to_be_visible()
    shot(finance, "late-light")
    finance.evaluate("document.documentElement.classList.add('dark')")
    shot(finance, "late-dark")
    finance.goto(reverse("admin:billing_late_usage") + "?month=2023-08")
    shot(finance, "late-empty")
    fiona = User.objects.get(username="fiona")
    codes = ["approve_early", "add_invoicingpolicy"]
    fiona.user_permissions.add(*Permission.objects.filter(codename__in=codes))
    ahead = timezone.now().date().toordinal() - date(2023, 12, 1).toordinal() + 5
    policy(contracts[3], grace=min(ahead, 2000), grace_unit="days")
    policy(contracts[0], threshold=Decimal(5000), currency="USD")
    said = {"zero": "skip", "late": "next", "reason": "As the auditors asked"}
    set_policy(entity=contracts[0].entity, since=date(2024, 1, 1), user=fiona, now=NOW, **said)
    [draft] = bill("2023-12-01", contracts[3])[-1:]
    finance.goto(reverse("admin:billing_invoice_changelist"))
    shot(finance, "invoices")
    finance.goto(reverse("admin:billing_invoicingpolicy_changelist"))
    shot(finance, "policies")
    finance.goto(reverse("admin:billing_invoicingpolicy_add"))
    shot(finance, "policy-add")
    carried = Invoice.objects.get(state="draft", contract=contracts[0])
    finance.goto(reverse("admin:billing_invoice_change", args=[carried.pk]))
    expect(finance.get_by_text("below the smallest invoice of USD 5,000.00")).to_be_visible()
    shot(finance, "carried")
    finance.get_by_role("link", name="Approve early").or_(
        finance.get_by_role("button", name="Approve early")
    ).first.click()
    finance.get_by_label("Reason").fill("They close their books in January")
    shot(finance, "early-dialog")
    finance.get_by_role("button", name="Approve early").last.click()
    expect(finance.get_by_text("Approved early:")).to_be_visible()
    shot(finance, "approved-early")
    carried.refresh_from_db()
    assert carried.state == "approved"
    assert draft.pk
