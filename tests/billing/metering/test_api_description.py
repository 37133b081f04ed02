"""The description of the API: valid OpenAPI 3.1, complete, made of the limits that hold, and readable."""

import re
from pathlib import Path
from typing import Any, get_args

import pytest
from django.test import Client
from django.urls import resolve
from openapi_spec_validator import OpenAPIV31SpecValidator
from pytest_django import Settings

from billing.metering import urls, validate, views
from billing.metering.windows import Window

pytestmark = pytest.mark.django_db
METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture
def described() -> dict[str, Any]:
    answer = Client().get("/api/v1/openapi.json")
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")
    return answer.json()


def test_it_works(described: dict[str, Any]) -> None:
    OpenAPIV31SpecValidator(described).validate()
    assert (described["openapi"], described["servers"]) == ("3.1.0", [{"url": "http://testserver"}])


def test_every_address_is_described(described: dict[str, Any]) -> None:
    pages = {"", "openapi.json", "<path:address>"}  # this description itself, and the answer to all other addresses
    here = {str(each.pattern) for each in urls.urlpatterns} - pages
    written = {path.removeprefix("/api/v1/") for path in described["paths"] if path.startswith("/api/v1/")}
    named = {"events/<path:address>": "events/{source}/{id}", "problems/<str:file_id>": "problems/{id}"}
    assert {named.get(each, each) for each in here} == written
    for path in described["paths"]:
        assert resolve(re.sub(r"{\w+}", "x", path)).func.__name__ != "nothing"


def test_limits_and_names_are_those_of_the_code(described: dict[str, Any], settings: Settings) -> None:
    event = described["components"]["schemas"]["Event"]["properties"]
    assert event["id"]["maxLength"] == validate.MAX_ID
    send = described["paths"]["/api/v1/events"]["post"]
    assert set(send["requestBody"]["content"]) == set(views.FORMATS)
    assert f"{settings.USAGE_BODY_LIMIT_BYTES:,} bytes" in send["description"]
    window = next(each for each in described["paths"]["/api/v1/usage"]["get"]["parameters"] if each["name"] == "window")
    assert window["schema"]["enum"] == list(get_args(Window))


def test_every_operation_has_a_name_of_its_own_and_an_example(described: dict[str, Any]) -> None:
    operations = [each for methods in described["paths"].values() for each in methods.values()]
    assert len({each["operationId"] for each in operations}) == len(operations)
    assert all(each["x-example"].startswith("curl") for each in operations)
    assert {method for methods in described["paths"].values() for method in methods} <= METHODS


def test_the_page_shows_every_operation_and_fetches_nothing_from_elsewhere(described: dict[str, Any]) -> None:
    answer = Client().get("/api/v1/")
    page = answer.content.decode()
    assert answer.status_code == 200
    for path, methods in described["paths"].items():
        assert path in page
        for operation in methods.values():
            assert f'id="{operation["operationId"]}"' in page
    fetched = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert [address for address in fetched if not address.startswith(("/static/", "/admin/", "/api/"))] == []
    css = Path(__file__).parents[3] / "static/api/api.css"
    assert "url(" not in css.read_text()


@pytest.mark.parametrize("method", ["get", "post", "delete"])
def test_any_other_address_is_a_problem(method: str) -> None:
    answer = getattr(Client(enforce_csrf_checks=True), method)("/api/v1/event")
    assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")
    assert answer.json()["code"] == "unknown_address"
