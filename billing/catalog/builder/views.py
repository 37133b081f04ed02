"""What the plan builder asks the server while a price is edited: nothing here writes, and nothing is computed twice.

JSON in, JSON out. A body that is none answers 400; a price that is wrong answers 200 with its problems.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.http import require_POST

from billing.catalog.builder.pasting import cells_of, tiers_of
from billing.catalog.builder.problems import read_price
from billing.catalog.builder.queries import worked
from billing.catalog.builder.trial import Worked, example_to_json, shown, typed
from billing.catalog.units.queries import rates_of
from billing.metering.models import Meter
from billing.pricing import Price, PriceError
from billing.pricing.usages import needs
from billing.pricing.words import plural
from config import clock
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
    price = _with_rate(price)
    example, cover = _example(request, asked, price, unit, meter)
    drawn = shown(price, unit, cover=cover, log=asked.get("log") is True, cell=asked.get("cell"))
    return JsonResponse(answer | drawn | {"example": example})


def _with_rate(price: Price) -> Price:
    """A price in a custom unit with what the unit is worth today; as it is where it says so itself, or nobody does."""
    unit = price.custom_unit
    if unit is None or unit.rate is not None:
        return price
    rates = rates_of([unit.code], [price.currency]).get((unit.code, price.currency), ())
    today = clock.now().date()
    held = [each.rate for each in rates if each.valid_from <= today] or [each.rate for each in rates[:1]]
    return replace(price, custom_unit=replace(unit, rate=held[-1])) if held else price


def _example(
    request: HttpRequest, asked: dict[str, Any], price: Price, unit: str, meter: Meter | None
) -> tuple[dict[str, Any], Fraction]:
    """The worked example, or why there is none; and the quantity that the curve should show."""
    example = asked.get("example")
    if not isinstance(example, dict):
        return {}, Fraction(0)
    try:
        if "customer" in example:
            found = _used(request, example, price, meter, str(asked.get("window")))
        else:
            found = typed(example, price, unit)
        return example_to_json(found, price, unit), found.cover
    except PriceError as error:
        return {"problem": error.message}, Fraction(0)
    except ValueError as error:
        return {"problem": str(error)}, Fraction(0)


def _used(request: HttpRequest, asked: dict[str, Any], price: Price, meter: Meter | None, window: str) -> Worked:
    """What a customer used of the charge's meter in a month; ValueError says what to choose."""
    if not request.user.has_perms(["customers.view_customer", "billing.view_meter"]):
        raise ValueError("Your role may not see the usage of customers: type a quantity instead.")
    customer = Customer.objects.filter(pk=_key(asked.get("customer"))).first()
    if customer is None:
        raise ValueError("Choose a customer.")
    if meter is None:
        raise ValueError("A customer’s month is read from a meter: choose the charge’s meter first.")
    return worked(customer, meter, str(asked.get("month")), needs(price), window)


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
