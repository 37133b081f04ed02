"""The meter form in a real browser: the preview follows what is typed, and problems stand at their field."""

from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse
from playwright.sync_api import Page, expect

from billing.metering.models import Meter
from tests import factories

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def engineer(page: Page, live_server: Any) -> Page:
    """The window, signed in as somebody of Engineering."""
    user = User.objects.create_user("emil", password="x", is_staff=True)
    user.groups.add(Group.objects.get(name="Engineer"))
    client = Client()
    client.force_login(user)
    page.context.add_cookies(
        [{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}]
    )
    factories.make_customer("acme", legal_name="Acme Inc.")
    factories.send_events(
        {"subject": "acme", "time": f"2023-11-10T08:00:0{place}Z", "data": {"tokens": tokens, "region": region}}
        for place, (tokens, region) in enumerate([(1200, "eu"), (800, "us"), ("many", "eu")])
    )
    return page


def test_it_works(engineer: Page) -> None:
    engineer.goto(reverse("admin:billing_meter_add") + "?event_type=inference")
    panel = engineer.locator("#meter-preview")
    expect(panel).to_contain_text("region")
    engineer.locator("#id_aggregation").select_option("sum")
    engineer.locator("#id_value").fill("2 * tokens")
    expect(panel).to_contain_text("2 of the last 3 events of type “inference” would count.")
    expect(panel).to_contain_text("1 does not: The property tokens is not a number of at most 40 digits.")
    expect(panel.get_by_role("row", name="Acme Inc.")).to_contain_text("4,000")
    engineer.locator("[name=filters-property]").first.fill("region")
    engineer.locator("[name=filters-values]").first.fill("us")
    expect(panel).to_contain_text("It does not pass the filter on region.")
    expect(panel.get_by_role("row", name="Acme Inc.")).to_contain_text("1,600")
    assert Meter.objects.count() == 0


def test_a_problem_stands_at_its_field_and_goes_when_it_is_mended(engineer: Page) -> None:
    engineer.goto(reverse("admin:billing_meter_add") + "?event_type=inference")
    engineer.locator("#id_aggregation").select_option("sum")
    engineer.locator("#id_value").fill("tokens +")
    problem = engineer.locator(".mb-live-problem")
    expect(problem).to_contain_text("At character 9: the end stands where")
    engineer.locator("#id_value").fill("tokens + 1")
    expect(problem).to_have_count(0)


def test_filters_are_added_and_removed_by_row(engineer: Page) -> None:
    engineer.goto(reverse("admin:billing_meter_add") + "?event_type=inference")
    rows = engineer.locator("[data-filter-row]")
    expect(rows).to_have_count(2)
    engineer.get_by_role("button", name="Add a filter").click()
    expect(rows).to_have_count(3)
    engineer.get_by_role("button", name="Remove this filter").first.click()
    expect(rows).to_have_count(2)
    engineer.locator("[name=name]").fill("Tokens")
    engineer.locator("#id_aggregation").select_option("count")
    rows.last.locator("[name=filters-property]").fill("tokens")
    rows.last.locator("[name=filters-condition]").select_option("gte")
    rows.last.locator("[name=filters-values]").fill("1000")
    engineer.get_by_role("button", name="Save", exact=True).click()
    expect(engineer.get_by_text("was added successfully")).to_be_visible()
    assert Meter.objects.get().filters == {"tokens": {"gte": "1000"}}
