"""Debian's Chromium, once a session, and a page each test; what the console complains of fails the test."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.test import Client
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The browser."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser, live_server: Any) -> Iterator[Page]:
    """A fresh window at 1400 px on the test's server."""
    context = browser.new_context(base_url=live_server.url, viewport={"width": 1400, "height": 900})
    complaints: list[str] = []
    page = context.new_page()
    page.set_default_timeout(6000)
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert complaints == []


@pytest.fixture
def finance(page: Page, live_server: Any) -> Page:
    """The window, signed in as somebody of Finance."""
    sit_down(page, live_server.url, "fiona")
    return page


def sit_down(page: Page, url: str, name: str, role: str = "Finance") -> User:
    """Let somebody of a role take over the window."""
    user, _ = User.objects.get_or_create(username=name, defaults={"is_staff": True})
    user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user)
    cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
    page.context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": url}])
    return user
