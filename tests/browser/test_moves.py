"""Moving subscribers in a real browser: choose, look at the effect, schedule, take one out, cancel."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.urls import reverse
from playwright.sync_api import Page, expect

from billing.catalog.models import SubscriptionInterval
from billing.moves import tasks
from billing.moves.models import Move
from config import clock
from tests import factories
from tests.billing.moves.helpers import NOW, scheduled, work
from tests.factories import fee, make_contract, make_customer, make_subscription, make_version, usage

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def _in_2024(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pages ask what time it is; the worker's part is done by the tests."""
    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setattr(tasks, "queue", lambda move_id: None)


@pytest.fixture
def revops(page: Page, live_server: Any) -> Page:
    """The window, signed in as somebody of RevOps who may move subscribers."""
    user = User.objects.create_user("rosa", password="x", is_staff=True)
    user.groups.add(Group.objects.get(name="RevOps"))
    user.user_permissions.add(
        *Permission.objects.filter(codename__in=["move_subscribers", "view_move", "view_movedsubscription"])
    )
    client = Client()
    client.force_login(user)
    cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
    page.context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": live_server.url}])
    return page


def make_plan() -> Any:
    """Customers of all sizes on a plan with two versions; one cannot be moved for want of a price."""
    old = make_version(fee(), usage(), currencies=["USD", "EUR"])
    tiers = [{"up_to": "1000", "unit_amount": "0.02"}, {"up_to": None, "unit_amount": "0.005"}]
    new = make_version(fee(amount="120.00"), usage(model="graduated", tiers=tiers))
    events = []
    for number in range(12):
        customer = make_customer(f"buyer-{number}", legal_name=f"Buyer {number} Limited")
        make_subscription(make_contract(customer, number=f"K-{number:03d}"), old)
        events += [{"subject": f"buyer-{number}", "time": f"{month}-10T08:00:00Z", "data": {"tokens": 700 * number**2}}
                   for month in ("2023-11", "2023-12", "2024-01")]  # fmt: skip
    make_subscription(make_contract(make_customer("euro", legal_name="Europa SE"), currency="EUR"), old)
    factories.send_events(events, now=NOW)
    return old, new


def test_it_works(revops: Page) -> None:
    """The whole walk; two clicks on a button are one."""
    _, new = make_plan()
    revops.goto(reverse("admin:billing_planversion_change", args=[new.pk]))
    revops.get_by_role("link", name="Move subscribers").click()
    expect(revops.get_by_label("Pro v1: 13 now")).to_be_checked()
    revops.get_by_label("Day", exact=True).fill("2024-03-01")
    revops.get_by_label("Without these customers").fill("buyer-3")
    revops.get_by_role("button", name="Preview").dblclick()
    expect(revops.get_by_text(re.compile("Computing the preview: 0 %"))).to_be_visible()
    move = work(Move.objects.get())
    expect(revops.get_by_role("heading", name="Schedule 11 subscriptions")).to_be_visible()  # the page comes by itself
    expect(revops.get_by_role("row", name=re.compile("Buyer 11 Limited"))).to_contain_text("USD −")
    revops.get_by_role("link", name=re.compile("Left out 2")).click()
    expect(revops.get_by_text("has no price in EUR, the currency of its contract")).to_be_visible()
    expect(revops.get_by_text("Is on the list of customers to leave out.")).to_be_visible()
    revops.get_by_label("Reason").fill("Prices from March")
    revops.get_by_role("button", name="Schedule").dblclick()
    expect(revops.get_by_text("Scheduling: 0 %")).to_be_visible()
    work(move)
    expect(revops.locator(".mb-badge", has_text="Scheduled").first).to_be_visible()
    assert SubscriptionInterval.objects.filter(version=new, superseded_at=None).count() == 11
    revops.get_by_role("link", name="Buyer 11 Limited").click()
    expect(revops.get_by_role("heading", name="By billing period")).to_be_visible()
    revops.get_by_role("button", name="Take Buyer 11 Limited out of this move").click()
    expect(revops.get_by_text("is out of this move")).to_be_visible()
    revops.goto(reverse("admin:billing_move_change", args=[move.pk]))
    revops.get_by_label("Reason").fill("Not yet")
    revops.get_by_role("button", name="Cancel the move").click()
    expect(revops.get_by_text("Cancelling: 0 %")).to_be_visible()
    work(move)
    expect(revops.locator(".mb-badge", has_text="Cancelled").first).to_be_visible()
    assert not SubscriptionInterval.objects.filter(version=new, superseded_at=None).exists()


def test_what_took_effect_offers_no_cancelling_but_the_way_back(revops: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = make_plan()
    move = scheduled(new, old)
    monkeypatch.setattr(clock, "now", lambda: datetime(2024, 3, 2, tzinfo=UTC))
    revops.goto(reverse("admin:billing_move_change", args=[move.pk]))
    expect(revops.get_by_text("move the subscribers of Pro v2 back to their version")).to_be_visible()
    expect(revops.get_by_role("button", name="Cancel the move")).to_have_count(0)
