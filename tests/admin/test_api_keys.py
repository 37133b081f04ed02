"""API keys in the admin: made with scopes, replaced with an overlap, changed in name and limit only."""

from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse

from billing.metering.models import ApiKey
from billing.metering.services import create_api_key, revoke_api_key
from config import clock
from tests.admin.conftest import NOW

pytestmark = pytest.mark.django_db


def make(**fields: Any) -> ApiKey:
    return create_api_key(**({"name": "Gateway", "default_source": "gw", "user": None, "now": NOW} | fields))[0]


def rotate_url(key: ApiKey) -> str:
    return reverse("admin:billing_apikey_rotate", args=[key.pk])


def test_it_works(sign_in: Any) -> None:
    key = make(rate_limit=50, scopes=["ingest", "read"])
    engineer = sign_in("Engineer")
    assert "A new key in place of Gateway" in engineer.get(rotate_url(key)).content.decode()
    assert ApiKey.objects.count() == 1
    with clock.set_to(NOW):
        page = engineer.post(rotate_url(key), {"overlap": "168", "expires_at_0": "", "expires_at_1": ""})
    made = ApiKey.objects.get(replaces=key)
    assert page.context["secret"].startswith(f"mb_{made.prefix}_")
    assert "no-store" in page["Cache-Control"]
    assert (made.rate_limit, made.scopes, made.default_source) == (50, ["ingest", "read"], "gw")
    assert ApiKey.objects.get(pk=key.pk).expires_at == NOW + timedelta(days=7)


@pytest.mark.parametrize("role", ["RevOps", "Finance", "Auditor"])
def test_only_engineers_replace_keys(role: str, sign_in: Any) -> None:
    key = make()
    assert sign_in(role).post(rotate_url(key), {"overlap": "0"}).status_code == 403
    assert ApiKey.objects.count() == 1


def test_a_key_that_has_ended_is_not_replaced(sign_in: Any) -> None:
    key = make()
    revoke_api_key(key=key, now=NOW)
    answer = sign_in("Engineer").post(rotate_url(key), {"overlap": "0"}, follow=True)
    assert "has ended already" in answer.content.decode()
    assert ApiKey.objects.count() == 1


def test_a_key_is_for_something_and_ends_in_the_future(sign_in: Any) -> None:
    given = {"name": "x", "default_source": "x", "expires_at_0": "2020-01-01", "expires_at_1": "00:00"}
    page = sign_in("Engineer").post(reverse("admin:billing_apikey_add"), given).content.decode()
    assert "a key for nothing opens no door" in page
    assert "Choose a time that lies ahead" in page
    assert not ApiKey.objects.exists()


def test_name_and_limit_change_and_nothing_else(sign_in: Any) -> None:
    key = make()
    given = {"name": "Gateway 2", "rate_limit": "9", "scopes": ["read"], "default_source": "other"}
    sign_in("Engineer").post(reverse("admin:billing_apikey_change", args=[key.pk]), given)
    changed = ApiKey.objects.get()
    assert (changed.name, changed.rate_limit) == ("Gateway 2", 9)
    assert (changed.scopes, changed.default_source, changed.digest) == (["ingest"], "gw", key.digest)


@pytest.mark.parametrize(("state", "names"), [("active", {"a"}), ("expired", {"e"}), ("revoked", {"r", "er"})])
def test_the_list_is_filtered_by_state(state: str, names: set[str], sign_in: Any) -> None:
    make(name="a")
    make(name="e", expires_at=NOW)
    for revoked in (make(name="r"), make(name="er", expires_at=NOW)):
        revoke_api_key(key=revoked, now=NOW)
    page = sign_in("Auditor").get(reverse("admin:billing_apikey_changelist"), {"state": state})
    assert {key.name for key in page.context["cl"].result_list} == names
