"""Finance's day in a real browser: review, correct, four eyes, issue and send; credit, write off; answer a question."""

import os
import re
from typing import Any

import pytest
from django.urls import reverse
from playwright.sync_api import Browser, Page, expect

from billing.hosted.models import Dispute, HostedLink
from billing.invoicing.delivery.models import Delivery
from billing.invoicing.models import Invoice
from billing.invoicing.review.services import assess
from billing.payments.writeoffs.models import WriteOff
from customers.models import LegalEntity
from tests.admin.conftest import NOW, make_business
from tests.browser.conftest import sit_down
from tests.browser.test_back_office import press
from tests.factories import bill

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def shot(page: Page, name: str) -> None:
    """A picture, where a folder for them is named."""
    if folder := os.environ.get("SHOTS"):
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)


def ask(page: Page, button: str, confirm: str, **fields: str) -> None:
    """A button of the page's head, its dialog with these fields by name, then the page that follows."""
    page.get_by_role("link", name=re.compile(rf"{button}$")).click()
    dialog = page.locator("#dialog")
    for name, text in fields.items():
        dialog.locator(f"[name={name}]").fill(text)
    shot(page, f"dialog-{button}")
    with page.expect_navigation():
        dialog.get_by_role("button", name=confirm).click()


def add(page: Page, what: str, **fields: str) -> None:
    """The form behind one of the buttons of “Added by hand”, filled in by name and saved."""
    page.get_by_role("link", name=f"Add a {what}").click()
    expect(page.get_by_role("heading", name=f"Add a {what}")).to_be_visible()
    for name, text in fields.items():
        page.locator(f"[name={name}]").fill(text)
    shot(page, f"form-{what}")
    with page.expect_navigation():
        page.get_by_role("button", name="Save").click()


@pytest.fixture
def draft() -> Invoice:
    """A draft of a seller who wants four eyes, with an invoice before it, in the review queue."""
    made = make_business(2)
    LegalEntity.objects.update(four_eyes=True)
    assess(invoice_ids=[each.pk for each in made.drafts], now=NOW)
    drafts: list[Invoice] = made.drafts
    return drafts[0]


def test_finance_reviews_corrects_approves_with_four_eyes_issues_and_sends(
    finance: Page, live_server: Any, draft: Invoice
) -> None:
    finance.goto(reverse("admin:billing_assessment_changelist"))
    shot(finance, "queue")
    row = finance.get_by_role("row", name=re.compile(draft.customer.legal_name))
    expect(row).to_contain_text("USD 100.00")
    row.get_by_role("link", name=re.compile("points?$")).click()
    shot(finance, "compare")
    expect(finance.get_by_text(re.compile("ACME-0+1")).first).to_be_visible()  # the invoice before it
    finance.goto(reverse("admin:billing_invoice_change", args=[draft.pk]))
    add(finance, "line", text="Workshop", amount="50", reason="Order 7")
    add(finance, "discount", text="Goodwill", percentage="10", reason="Outage")
    add(finance, "note", text="Thank you for your patience")
    shot(finance, "corrected")
    draft.refresh_from_db()
    assert draft.net == 135
    press(finance, "Approve", "Approve")
    expect(finance.get_by_text(re.compile("let somebody else approve it"))).to_be_visible()
    shot(finance, "refused")

    sit_down(finance, live_server.url, "frank")
    finance.reload()
    press(finance, "Approve", "Approve")
    press(finance, "Issue", "Issue")
    press(finance, "Send", "Send")
    shot(finance, "issued")
    draft.refresh_from_db()
    assert (draft.state, draft.total) == ("issued", 135)
    assert Delivery.objects.get().invoice_id == draft.pk
    expect(finance.get_by_text("Thank you for your patience")).to_be_visible()


def test_finance_credits_an_invoice_and_writes_off_what_is_left(finance: Page, live_server: Any) -> None:
    invoice = make_business().issued[0]
    bill("2024-02-01", now=NOW)
    page = reverse("admin:billing_invoice_change", args=[invoice.pk])
    finance.goto(page)
    finance.get_by_role("link", name=re.compile("Credit$")).click()
    dialog = finance.locator("#dialog")
    dialog.locator("[name=line]").select_option(index=1)
    dialog.locator("[name=amount]").fill("20")
    dialog.locator("[name=reason]").fill("Two days of outage")
    shot(finance, "dialog-Credit")
    with finance.expect_navigation():
        dialog.get_by_role("button", name="Credit").click()
    shot(finance, "credited")
    note = Invoice.objects.get(kind="credit_note", state="draft")
    finance.goto(reverse("admin:billing_invoice_change", args=[note.pk]))
    press(finance, "Approve", "Approve")
    press(finance, "Issue", "Issue")
    expect(finance.get_by_text("Two days of outage").first).to_be_visible()
    shot(finance, "credit-note")

    finance.goto(page)
    ask(finance, "Write off", "Ask", reason="Insolvent")
    asked = WriteOff.objects.get()
    waiting = reverse("admin:billing_writeoff_change", args=[asked.pk])
    finance.goto(waiting)
    press(finance, "Approve", "Approve")
    expect(finance.get_by_text(re.compile("somebody else", re.IGNORECASE)).first).to_be_visible()
    sit_down(finance, live_server.url, "frank")
    finance.goto(waiting)
    press(finance, "Approve", "Approve")
    shot(finance, "written-off")
    asked.refresh_from_db()
    assert asked.state == WriteOff.State.BOOKED
    finance.goto(page)
    expect(finance.get_by_text("Written off: Insolvent")).to_be_visible()
    shot(finance, "invoice-written-off")


def test_a_customer_asks_about_a_line_and_finance_answers(finance: Page, browser: Browser, live_server: Any) -> None:
    invoice = make_business().issued[0]
    finance.goto(reverse("admin:billing_invoice_change", args=[invoice.pk]))
    finance.get_by_role("button", name=re.compile("link", re.IGNORECASE)).first.click()
    expect(finance.get_by_text(re.compile("The link opens"))).to_be_visible()
    shot(finance, "invoice-linked")

    outside = browser.new_context(base_url=live_server.url, viewport={"width": 390, "height": 844})
    customer = outside.new_page()
    customer.goto(HostedLink.objects.get().path)
    expect(customer.get_by_text("USD 200.07").first).to_be_visible()
    shot(customer, "hosted-phone")
    customer.get_by_role("row", name=re.compile("Tokens")).get_by_role("link").first.click()
    customer.locator("[name=name]").fill("Eve Buyer")
    customer.locator("[name=question]").fill("Why seven?")
    customer.get_by_role("button", name="Send").dblclick()
    expect(customer.get_by_text(re.compile("your question has arrived"))).to_be_visible()
    shot(customer, "hosted-asked")

    finance.goto(reverse("admin:billing_dispute_changelist"))
    finance.get_by_role("link", name="Why seven?").click()
    shot(finance, "dispute")
    finance.get_by_role("link", name=re.compile("Answer$")).click()
    dialog = finance.locator("#dialog")
    dialog.locator("[name=text]").fill("One event on 10 November.")
    with finance.expect_navigation():
        dialog.get_by_role("button", name="Answer").click()
    customer.reload()
    expect(customer.get_by_text("One event on 10 November.")).to_be_visible()
    outside.close()
    assert Dispute.objects.get().state == "answered"
