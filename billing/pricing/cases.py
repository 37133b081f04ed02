"""The cases of `manage.py rate`: a price with usage as JSON in, an amount with its steps as JSON out.

Pure: no Django, no database, no clock.
"""

import json
from typing import Any, Final

from billing.pricing.errors import PriceError
from billing.pricing.fields import Fields
from billing.pricing.parse import parse_price
from billing.pricing.rating import rate
from billing.pricing.usages import Cells, Events, EventUse, Usage

KEYS: Final = ("id", "price", "usage")
_KINDS: Final = ("quantity", "events", "cells")
_LONGEST_INTEGER: Final = 4000  # beyond it int() refuses, and no number so long counts anyway


def read_json(text: str) -> Any:
    """JSON whose floats stay floats, for the price to refuse them by their path. ValueError where it is none."""
    return json.loads(text, parse_int=lambda digits: int(digits) if len(digits) <= _LONGEST_INTEGER else digits)


def rate_case(case: object) -> dict[str, Any]:
    """One case's answer: the amount and its steps, or the error with its path."""
    identifier = case.get("id") if isinstance(case, dict) else None
    try:
        fields = _object(case)
        price = parse_price(fields["price"], "price")
        return {"id": identifier, **rate(price, read_usage(fields["usage"])).to_json()}
    except PriceError as error:
        return {"id": identifier, "error": error.to_json()}


def read_usage(obj: object, path: str = "usage") -> Usage:
    """Read a quantity, events or cells from parsed JSON; PriceError with the path to the first thing that is wrong."""
    fields = Fields(obj, path)
    fields.only(_KINDS, "usage")
    if len(fields.obj) != 1:
        raise PriceError("incomplete", "Usage is a quantity, or events, or cells; write one of them.", path)
    if "quantity" in fields:
        return fields.number("quantity")
    if "events" in fields:
        return Events(tuple(map(_event, fields.objects("events"))))
    rows = []
    for row in fields.objects("cells"):
        row.only(("dimensions", "quantity"), "a cell of usage")
        rows.append((_dimensions(row), row.number("quantity")))
    names = tuple(dict.fromkeys(name for values, _ in rows for name in values))
    return Cells(names, tuple((tuple(map(values.get, names)), quantity) for values, quantity in rows))


def _object(case: object) -> dict[str, Any]:
    """The case as an object of exactly its keys."""
    if not isinstance(case, dict):
        raise PriceError("not_an_object", f'Write a case such as {{"price": {{}}, "usage": {{}}}}, not {case!r}.', "")
    for key in case:
        if key not in KEYS:
            message = f"{key!r} is no key of a case; it takes {', '.join(KEYS)}."
            raise PriceError("unknown_key", message, str(key))
    for key in ("price", "usage"):
        if key not in case:
            raise PriceError("missing_key", f"{key!r} is missing; add it.", key)
    return case


def _event(fields: Fields) -> EventUse:
    fields.only(("amount", "dimensions"), "an event of usage")
    dimensions = _dimensions(fields) if "dimensions" in fields else {}
    return EventUse(fields.number("amount"), tuple(dimensions.items()))


def _dimensions(fields: Fields) -> dict[str, str | None]:
    """Values by the names of dimensions; null where there is none."""
    own = Fields(fields.required("dimensions"), fields.at("dimensions"))
    for name, value in own.obj.items():
        if value is not None and not isinstance(value, str):
            raise PriceError("invalid_choice", f"{value!r} is no text; write it as a string.", own.at(str(name)))
    return own.obj
