"""The addresses of events, sent by POST and read by GET, and the description of the API for programs and people."""

import json
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from billing.metering import views
from billing.metering.answers import problem
from billing.metering.api.fate import fate
from billing.metering.api.openapi import document


@csrf_exempt  # no cookie counts here: the key in the header is the whole authority
def events(request: HttpRequest) -> HttpResponseBase:
    """Take events in; or, by GET with `source` and `id`, tell the fate of one."""
    if request.method in ("GET", "HEAD") and request.GET:
        return fate(request)
    return views.events(request)


@csrf_exempt
def nothing(request: HttpRequest, address: str) -> HttpResponse:
    """Any other address below the API's."""
    detail = f"There is nothing at /api/v1/{address}; {reverse('api')} says what there is."
    return problem(404, "unknown_address", detail)


@require_safe
def openapi(request: HttpRequest) -> HttpResponse:
    """The description of the API as OpenAPI 3.1; needs no key."""
    content = json.dumps(document(_server(request)), ensure_ascii=False, indent=1)
    return HttpResponse(content, content_type="application/json")


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """The same description for people, with examples to copy; needs no key."""
    described = document(_server(request))
    operations = [
        {"method": method.upper(), "path": path, "example": operation["x-example"], **_parts(operation), **operation}
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    ]
    groups = [
        tag | {"operations": [each for each in operations if tag["name"] in each["tags"]]} for tag in described["tags"]
    ]
    context = {"info": described["info"], "groups": groups, "server": _server(request)}
    return TemplateResponse(request, "billing/api.html", context)


def _server(request: HttpRequest) -> str:
    """The address that the request came to."""
    return request.build_absolute_uri("/").rstrip("/")


def _parts(operation: dict[str, Any]) -> dict[str, Any]:
    """What of an operation is printed in tables: parameters, content types and answers."""
    return {
        "parameters": operation.get("parameters", []),
        "types": list(operation.get("requestBody", {}).get("content", {})),
        "answers": [
            {"status": status, "description": answer["description"], "good": status < "300"}
            for status, answer in sorted(operation["responses"].items())
        ],
    }
