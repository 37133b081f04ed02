from typing import Any
from datetime import date
import pytest
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse
from tests import factories
from tests.billing.catalog.terms.helpers import agree, per_unit, WHY
from billing.catalog.models import Charge
from billing.catalog.terms.services import *
pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

def test_shots(page, live_server):
    user = User.objects.create_user("rosa", password="x", is_staff=True)
    user.groups.add(Group.objects.get(name="RevOps"))
    client = Client(); client.force_login(user)
    cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
    page.context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": live_server.url}])
    seats = {"code": "seats", "kind": "recurring", "unit": "seat", "price": per_unit("30")}
    tiers = factories.usage(model="graduated", tiers=[{"up_to": "5000000", "unit_amount": "0.000003"}, {"up_to": None, "unit_amount": "0.0000025"}])
    sub = factories.make_subscription(factories.make_contract(), factories.make_version(factories.fee(), seats, tiers), quantity=12)
    url = reverse("admin:billing_subscription_change", args=[sub.pk])
    page.goto(url); page.screenshot(path="/tmp/t_empty.png", full_page=True)
    WHY["user"] = user
    agree(sub, "discount", percentage="10", periods=12)
    agree(sub, "quantity", "seats", "2023-12-11", quantity="20")
    agree(sub, "allowance", "tokens", quantity="1000000")
    agree(sub, "tiers", "tokens", tiers=[{"up_to": None, "unit_amount": "0.000002"}])
    agree(sub, "narrowing", "tokens", filters={"region": ["eu", "us"]})
    agree(sub, "commitment", amount="50000", per="term", overage_factor="0.8", charges=["tokens"], end="2024-11-01")
    make_ramp(subscription=sub, kind="price", code="platform", steps=[(date(2023,11,1),{"price":{"model":"flat","amount":"50"}}),(date(2024,1,1),{"price":{"model":"flat","amount":"75"}}),(date(2024,7,1),{"price":{"model":"flat","amount":"100"}})], **WHY)
    add_charge(subscription=sub, code="support", charge=Charge(name="Premium support", kind="recurring", pay="in_advance", position=50), price={"model":"flat","amount":"500"}, start=date(2023,12,1), **WHY)
    t = agree(sub, "discount", "tokens", percentage="5")
    undo_term(term=t, reason="A mistake", user=user, now=factories.NOW)
    page.goto(url); page.screenshot(path="/tmp/t_page.png", full_page=True)
    page.goto(reverse("admin:billing_terms_choose", args=[sub.pk])); page.screenshot(path="/tmp/t_choose.png", full_page=True)
    for kind in ("discount", "ramp", "tiers", "add", "commitment"):
        page.goto(reverse("admin:billing_terms_agree", args=[sub.pk, kind])); page.screenshot(path=f"/tmp/t_{kind}.png", full_page=True)
    page.goto(reverse("admin:billing_terms_on", args=[sub.pk])+"?on=2023-12-15"); page.screenshot(path="/tmp/t_on.png", full_page=True)
    page.goto(reverse("admin:billing_terms_stop", args=[sub.pk, sub.terms.first().pk, "end"])); page.screenshot(path="/tmp/t_end.png", full_page=True)
    page.goto(reverse("admin:billing_subscription_changelist")); page.screenshot(path="/tmp/t_list.png", full_page=True)
    page.evaluate("localStorage.setItem('_x_adminTheme', '\"dark\"')"); page.goto(url); page.screenshot(path="/tmp/t_dark.png", full_page=True)
