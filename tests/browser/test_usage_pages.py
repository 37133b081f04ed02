"""What RevOps does with usage, in a real browser: from a figure to its events, a claim, and watching what arrives."""

import re
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse
from playwright.sync_api import Page, expect

from customers.models import UsageSubject
from tests import factories
from tests.admin.conftest import make_business

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def revops(page: Page, live_server: Any) -> Page:
    """The window, signed in as somebody of RevOps."""
    user = User.objects.create_user("rosa", password="x", is_staff=True)
    user.groups.add(Group.objects.get(name="RevOps"))
    client = Client()
    client.force_login(user)
    cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
    page.context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": live_server.url}])
    return page


def test_it_works(revops: Page) -> None:
    """From the explorer's figure to the events behind it, to the page of one; by mouse and by keyboard."""
    make_business(2)
    revops.goto(reverse("admin:billing_usage") + "?preset=custom&first=2023-11-01&last=2023-11-30")
    drawn = revops.locator("canvas.chart").first.evaluate(
        "c => { const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; return d.some(x => x > 0) }"
    )
    assert drawn
    row = revops.get_by_role("row", name=re.compile("2023-11-10"))
    figure = row.get_by_role("link", name="7").first
    figure.focus()
    revops.keyboard.press("Enter")
    expect(revops.get_by_role("heading", name="Events, newest first")).to_be_visible()
    revops.get_by_role("link", name=re.compile("first-")).click()
    expect(revops.get_by_text('"tokens": 7').first).to_be_visible()
    expect(revops.get_by_role("heading", name="Invoice lines")).to_be_visible()
    expect(revops.locator(".mb-badge", has_text="Counted")).to_be_visible()


def test_the_explorer_is_asked_by_its_form(revops: Page) -> None:
    make_business()
    revops.goto(reverse("admin:billing_usage"))
    revops.get_by_label("Period").select_option(label="Dates")
    revops.get_by_label("From").fill("2023-11-01")
    revops.get_by_label("To (inclusive)").fill("2023-12-31")
    revops.get_by_label("By", exact=True).select_option(label="Month")
    revops.get_by_role("button", name="Show").click()
    expect(revops.get_by_role("row", name=re.compile("2023-11"))).to_be_visible()
    expect(revops.get_by_role("row", name=re.compile("Whole period"))).to_contain_text("7")


def test_a_claim_shows_what_it_changes_before_it_is_made(revops: Page) -> None:
    business = make_business()
    factories.send_events(subject="stranger", time="2023-12-29T08:00:00Z", data={"tokens": 300})
    revops.goto(f"{reverse('admin:billing_unmatched')}?claim=stranger&days=365")
    revops.locator(".select2-selection").click()
    revops.get_by_role("option", name=str(business.customer)).click()
    revops.get_by_role("button", name="Show what changes").click()
    expect(revops.get_by_text(re.compile("2 events of stranger start to count"))).to_be_visible()
    expect(revops.get_by_role("row", name=re.compile("2023-12 Tokens 0 301 \\+301"))).to_be_visible()
    assert not UsageSubject.objects.filter(subject="stranger").exists()
    revops.get_by_role("button", name=f"Claim for {business.customer}").click()
    expect(revops.get_by_text(f"Events of stranger count for {business.customer}")).to_be_visible()
    assert UsageSubject.objects.get(subject="stranger").customer == business.customer


def test_events_show_in_the_live_tail_as_they_arrive(revops: Page) -> None:
    make_business()
    revops.goto(reverse("admin:billing_usage_live"))
    rows = revops.locator("#live-rows tr")
    expect(rows.filter(has_text="first-0")).to_contain_text("tokens: 7")
    factories.send_events(id="fresh", subject="nobody-yet", time="2023-12-31T08:00:00Z", data={"tokens": 1})
    expect(rows.first).to_contain_text("fresh", timeout=10_000)
    expect(rows.first).to_contain_text("No customer")
    expect(revops.locator("#live-state")).to_contain_text("1 event arrived")
    revops.get_by_role("button", name="Pause").click()
    factories.send_events(id="later", subject="buyer-0", time="2023-12-31T08:00:00Z", data={"tokens": 1})
    revops.wait_for_timeout(2500)
    expect(rows.filter(has_text="later")).to_have_count(0)
    revops.get_by_role("button", name="Go on").click()
    expect(rows.first).to_contain_text("later", timeout=10_000)
    revops.get_by_label("Subject contains").fill("nobody")
    revops.get_by_label("Subject contains").press("Tab")
    expect(rows).to_have_count(1, timeout=10_000)
