"""What the plan builder asks the server while a price is edited: nothing here writes, and nothing is computed twice.

JSON in, JSON out. A body that is none answers 400; a price that is wrong answers 200 with its problems.
"""

import json
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.http import require_POST

from billing.catalog.builder.pasting import cells_of, tiers_of
from billing.catalog.builder.problems import read_price
from billing.catalog.builder.queries import month_of, used
from billing.catalog.builder.trial import example_to_json, quantity_of, shown
from billing.metering.models import Meter
from billing.pricing import Price, rate
from billing.pricing.words import Words, plural
from customers.models import Customer

_TIER_AMOUNTS = ("unit_amount", "flat_amount", "rate")


def urls(view: Callable[..., Any]) -> list[Any]:
    """Addresses below those of plan versions; `view` guards them as pages of the admin."""
    return [
        path("builder/price/", view(try_price), name="billing_builder_price"),
        path("builder/paste/", view(paste), name="billing_builder_paste"),
    ]


class Unreadable(ValueError):
    """A body that a script of ours did not send."""


@require_POST
def try_price(request: HttpRequest) -> HttpResponse:
    """A price as it stands in the form: what is wrong with it, or words, curve, warnings and the worked example."""
    _check(request)
    try:
        asked = _body(request)
        unit = _text(asked, "unit") or "unit"
    except Unreadable as error:
        return JsonResponse({"detail": str(error)}, status=400)
    meter = Meter.objects.filter(pk=_key(asked.get("meter"))).first()
    unit = meter.unit if meter else unit
    answer: dict[str, Any] = {
        "unit": unit, "units": plural(unit, Fraction(2)), "dimensions": meter.group_by if meter else [],
    }  # fmt: skip
    price, problems = read_price(asked.get("price"))
    answer["problems"] = [each.to_json() for each in problems]
    if price is None:
        return JsonResponse(answer)
    example, cover = _example(request, asked.get("example"), price, unit, meter)
    drawn = shown(price, unit, cover=cover, log=asked.get("log") is True)
    return JsonResponse(answer | drawn | {"example": example})


def _example(
    request: HttpRequest, asked: Any, price: Price, unit: str, meter: Meter | None
) -> tuple[dict[str, Any], Fraction]:
    """The worked example, or why there is none; and the quantity that the curve should show."""
    try:
        if not isinstance(asked, dict):
            return {}, Fraction(0)
        if "customer" in asked:
            quantity, said = _used(request, asked, meter)
        else:
            quantity, said = quantity_of(asked.get("quantity")), ""
        rating = rate(price, quantity, unit)
    except ValueError as error:
        return {"problem": str(error)}, Fraction(0)
    words = Words(price.currency, unit)
    said = said or words.metered(quantity)
    return {"said": said, **example_to_json(rating, words)}, max(quantity, Fraction(0))


def _used(request: HttpRequest, asked: dict[str, Any], meter: Meter | None) -> tuple[Fraction, str]:
    """What a customer used of the charge's meter in a month; ValueError says what to choose."""
    if not request.user.has_perms(["customers.view_customer", "billing.view_meter"]):
        raise ValueError("Your role may not see the usage of customers: type a quantity instead.")
    customer = Customer.objects.filter(pk=_key(asked.get("customer"))).first()
    if customer is None:
        raise ValueError("Choose a customer.")
    if meter is None:
        raise ValueError("Choose the charge’s meter first: it says what is counted.")
    period = month_of(str(asked.get("month")), customer.timezone)
    quantity = Fraction(used(customer, meter, period))
    return quantity, f"{customer} in {asked['month']}: {Words('USD', meter.unit).metered(quantity)}"


@require_POST
def paste(request: HttpRequest) -> HttpResponse:
    """Text from a spreadsheet, as rows of tiers or cells: what was understood, and what is wrong with the others."""
    _check(request)
    try:
        asked = _body(request)
        text = _text(asked, "text")
        names = asked.get("names")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or not 1 <= len(names) <= 3:
            raise Unreadable("`names` is a list of one to three names.")
        if asked.get("kind") == "cells":
            rows = cells_of(text, names)
        else:
            rows = tiers_of(text, [name for name in names if name in _TIER_AMOUNTS] or _TIER_AMOUNTS[:2])
    except Unreadable as error:
        return JsonResponse({"detail": str(error)}, status=400)
    except ValueError as error:
        return JsonResponse({"rows": [], "problem": str(error)})
    return JsonResponse({"rows": [row.to_json() for row in rows], "problem": ""})


def _check(request: HttpRequest) -> None:
    if not request.user.has_perm("billing.change_planversion"):
        raise PermissionDenied


def _body(request: HttpRequest) -> dict[str, Any]:
    try:
        asked = json.loads(request.body)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"The body is no JSON that can be read: {error}") from error
    if not isinstance(asked, dict):
        raise Unreadable("The body is a JSON object.")
    return asked


def _text(asked: dict[str, Any], name: str) -> str:
    value = asked.get(name, "")
    if not isinstance(value, str):
        raise Unreadable(f"`{name}` is a text.")
    return value


def _key(value: object) -> int:
    """A primary key; 0, which nothing has, for anything else."""
    text = str(value)
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 18 else 0
