"""What finance does with the mouse, in a real browser."""

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from playwright.sync_api import Page, expect

from billing.invoicing.models import Invoice
from billing.payments.models import Payment
from config import clock
from tests import factories
from tests.admin.conftest import make_business

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def press(page: Page, button: str, confirm: str) -> None:
    """A button of the page's head, then the one of its dialog, then the page that follows."""
    page.get_by_role("link", name=re.compile(rf"{button}$")).click()
    dialog = page.locator("#dialog")
    expect(dialog).to_be_visible()
    with page.expect_navigation():
        dialog.get_by_role("button", name=confirm).click()


def test_it_works(page: Page) -> None:
    User.objects.create_superuser("ada", password="lovelace")
    page.goto(reverse("admin:login"))
    page.get_by_label("Username").fill("ada")
    page.locator("[name=password]").fill("lovelace")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_text("First steps")).to_be_visible()


def test_the_home_page_shows_what_waits_and_draws_its_charts(finance: Page) -> None:
    now = clock.now()
    make_business(2)
    factories.send_events(
        [{"subject": "buyer-0", "time": now.isoformat(), "data": {"tokens": 3}}], now=now
    )  # fmt: skip
    finance.goto(reverse("admin:index"))
    expect(finance.get_by_role("link", name=re.compile("2 Drafts to review"))).to_be_visible()
    chart = finance.locator("canvas.chart").first
    expect(chart).to_be_visible()
    drawn = chart.evaluate(
        "c => { const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; return d.some(x => x > 0) }"
    )
    assert drawn
    finance.get_by_text("As a table").first.click()
    expect(finance.get_by_role("cell", name=f"{now:%Y-%m-%d}")).to_be_visible()


def test_an_invoice_goes_from_draft_to_paid_by_clicking(finance: Page) -> None:
    draft = make_business().drafts[0]
    finance.goto(reverse("admin:billing_invoice_changelist") + "?state__exact=draft")
    finance.get_by_role("link", name=re.compile(f"Draft {draft.pk}")).click()
    press(finance, "Approve", "Approve")
    expect(finance.get_by_text("Approved Approved")).to_be_visible()
    press(finance, "Issue", "Issue")
    expect(finance.get_by_text("Issued ACME-000002, USD 100.00.")).to_be_visible()
    press(finance, "Record payment", "Record")
    expect(finance.get_by_text("Recorded USD 100.00 for ACME-000002.")).to_be_visible()
    expect(finance.locator(".mb-badge", has_text="Paid")).to_be_visible()
    paid = Payment.objects.latest("pk")
    assert (paid.amount, Invoice.objects.get(pk=draft.pk).state) == (100, "issued")


def test_many_drafts_are_approved_after_the_page_that_sums_them_up(finance: Page) -> None:
    make_business(3)
    finance.goto(reverse("admin:billing_invoice_changelist") + "?state__exact=draft")
    finance.locator("#action-toggle").check()
    finance.locator("select[name=action]").select_option(label="Approve…")
    finance.get_by_role("button", name=re.compile("Run|Go")).first.click()
    expect(finance.get_by_text("Approve 3 invoices, USD 300.00")).to_be_visible()
    finance.get_by_role("button", name="Approve 3 invoices").click()
    expect(finance.get_by_text("Approved 3 invoices, USD 300.00.")).to_be_visible()
    assert set(Invoice.objects.exclude(state="issued").values_list("state", flat=True)) == {"approved"}


def test_sending_back_without_a_reason_stays_in_the_dialog(finance: Page) -> None:
    draft: Any = make_business().drafts[0]
    finance.goto(reverse("admin:billing_invoice_change", args=[draft.pk]))
    press(finance, "Approve", "Approve")
    finance.get_by_role("link", name=re.compile("Send back$")).click()
    dialog = finance.locator("#dialog")
    dialog.get_by_role("button", name="Send back").click()
    expect(dialog.get_by_text("This field is required.")).to_be_visible()
    dialog.get_by_label("Reason").fill("Seats are wrong")
    with finance.expect_navigation():
        dialog.get_by_role("button", name="Send back").click()
    expect(finance.get_by_text("Sent back: Seats are wrong")).to_be_visible()
