"""A whole plan as a plain value, and the JSON that it is written as and read from (docs/formats.md, “A plan”).

Pure: no Django, no clock.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from billing.catalog.errors import PlanFileError, Problem
from billing.cycles import Cadence, InvalidCadence
from billing.pricing import Price, PriceError, parse_price, price_to_json
from billing.pricing.fields import Fields

KINDS: Final = ("recurring", "usage")
PAYS: Final = ("in_advance", "in_arrears")
PRORATIONS: Final = ("day", "second", "month30", "none")
WINDOWS: Final = ("hour", "day")
TREATMENTS: Final = ("ratable", "as_used", "point")
_SLUG: Final = re.compile(r"[A-Za-z0-9_-]+")
_CHARGE_KEYS: Final = (
    "code", "name", "kind", "pay", "meter", "meter_version", "unit", "cadence", "proration", "window", "invoice_group",
    "tax_code", "revenue_treatment", "position", "prices",
)  # fmt: skip
_WORDS: Final = ("unit", "cadence", "proration", "window", "invoice_group", "tax_code", "revenue_treatment")


@dataclass(frozen=True, slots=True)
class ChargeFile:
    """One charge: `meter` is a meter's code, `meter_version` its version where that is not the current one.

    Texts mean what the fields of a charge mean; "" is the contract's, or none. Prices are sorted by currency.
    """

    code: str
    name: str
    kind: str
    pay: str
    position: int
    prices: tuple[Price, ...]
    meter: str = ""
    meter_version: int | None = None
    unit: str = ""
    cadence: str = ""
    proration: str = ""
    window: str = ""
    invoice_group: str = ""
    tax_code: str = ""
    revenue_treatment: str = ""

    def price_in(self, currency: str) -> Price | None:
        """Its price in a currency, if it has one."""
        return next((price for price in self.prices if price.currency == currency), None)


@dataclass(frozen=True, slots=True)
class PlanFile:
    """A product, a plan of it, and what a version of the plan charges, in the order of the list."""

    product: str
    product_name: str
    plan: str
    plan_name: str
    charges: tuple[ChargeFile, ...]
    note: str = ""


def to_json(plan: PlanFile) -> dict[str, Any]:
    """The file of a plan: canonical, what has its default is left out, equal plans give equal JSON."""
    result: dict[str, Any] = {
        "product": {"code": plan.product, "name": plan.product_name},
        "plan": {"code": plan.plan, "name": plan.plan_name},
    }
    if plan.note:
        result["note"] = plan.note
    return result | {"charges": [_charge_json(charge, place) for place, charge in enumerate(plan.charges)]}


def _charge_json(charge: ChargeFile, place: int) -> dict[str, Any]:
    result: dict[str, Any] = {"code": charge.code, "name": charge.name, "kind": charge.kind}
    if charge.kind == "recurring":
        result["pay"] = charge.pay
    if charge.meter:
        result["meter"] = charge.meter
    if charge.meter_version is not None:
        result["meter_version"] = charge.meter_version
    result |= {name: getattr(charge, name) for name in _WORDS if getattr(charge, name)}
    if charge.position != place:
        result["position"] = charge.position
    return result | {"prices": [price_to_json(price) for price in charge.prices]}


def read_plan(obj: object) -> PlanFile:
    """Read a plan from parsed JSON, strictly; PlanFileError with every charge's first problem, each with its path."""
    problems: list[Problem] = []
    try:
        fields = Fields(obj, "plan_file")
        fields.only(("product", "plan", "note", "charges"), "a plan file")
        product, plan = _named(fields, "product"), _named(fields, "plan")
        note = _text(fields, "note", 200, default="")
        rows = fields.objects("charges")
    except PriceError as error:
        raise PlanFileError([Problem(error.path, error.message)]) from None
    charges = [charge for place, row in enumerate(rows) if (charge := _charge(row, place, problems)) is not None]
    problems += _repeated(charges) + _disordered(charges)
    if problems:
        raise PlanFileError(problems)
    return PlanFile(*product, *plan, tuple(charges), note)


def _named(fields: Fields, key: str) -> tuple[str, str]:
    row = Fields(fields.required(key), fields.at(key))
    row.only(("code", "name"), f"a {key}")
    return _slug(row, "code"), _text(row, "name", 100)


def _charge(fields: Fields, place: int, problems: list[Problem]) -> ChargeFile | None:
    """The charge at a place of the list; None after what is wrong with it was added to `problems`."""
    try:
        fields.only(_CHARGE_KEYS, "a charge")
        kind = fields.choice("kind", KINDS, str(fields.required("kind")))
        charge = ChargeFile(
            code=_slug(fields, "code"), name=_text(fields, "name", 100), kind=kind, pay=_pay(fields, kind),
            meter=_meter(fields, kind), meter_version=_meter_version(fields),
            unit=_text(fields, "unit", 40, default=""), cadence=_cadence(fields),
            proration=_choice(fields, "proration", PRORATIONS),
            window=_window(fields, kind), invoice_group=_text(fields, "invoice_group", 60, default=""),
            tax_code=_text(fields, "tax_code", 40, default=""),
            revenue_treatment=_choice(fields, "revenue_treatment", TREATMENTS),
            position=_integer(fields, "position", 0, 32767) if "position" in fields else place, prices=_prices(fields),
        )  # fmt: skip
    except PriceError as error:
        problems.append(Problem(error.path, error.message))
        return None
    return charge


def _pay(fields: Fields, kind: str) -> str:
    pay = fields.choice("pay", PAYS, "in_arrears" if kind == "usage" else "in_advance")
    if kind == "usage" and pay != "in_arrears":
        raise PriceError("invalid_choice", "Usage is paid in arrears; leave this out.", fields.at("pay"))
    return pay


def _meter(fields: Fields, kind: str) -> str:
    if kind == "usage":
        return _slug(fields, "meter")
    for key in ("meter", "meter_version"):
        if key in fields:
            raise PriceError("unknown_key", f"A recurring fee has no {key}; leave it out.", fields.at(key))
    return ""


def _meter_version(fields: Fields) -> int | None:
    return _integer(fields, "meter_version", 1, 2147483647) if "meter_version" in fields else None


def _cadence(fields: Fields) -> str:
    text = _text(fields, "cadence", 10, default="")
    if text:
        try:
            Cadence.parse(text)
        except InvalidCadence as error:
            raise PriceError("invalid_choice", str(error), fields.at("cadence")) from None
    return text


def _window(fields: Fields, kind: str) -> str:
    window = _choice(fields, "window", WINDOWS)
    if window and kind != "usage":
        raise PriceError("invalid_choice", "Only usage is priced by hour or day; leave this out.", fields.at("window"))
    return window


def _prices(fields: Fields) -> tuple[Price, ...]:
    rows = fields.required("prices")
    if not isinstance(rows, list):
        raise PriceError("not_a_list", f"Write a list of prices here, not {rows!r}.", fields.at("prices"))
    found: dict[str, Price] = {}
    for place, row in enumerate(rows):
        path = f"{fields.at('prices')}[{place}]"
        price = parse_price(row, path)
        if price.currency in found:
            raise PriceError("repeated", f"There is a price in {price.currency} already; keep one.", path)
        found[price.currency] = price
    return tuple(found[currency] for currency in sorted(found))


def _repeated(charges: Iterable[ChargeFile]) -> list[Problem]:
    """A code may stand once: two charges of one code would bill under one name."""
    codes = [charge.code for charge in charges]
    return [
        Problem("plan_file.charges", f"The code {code!r} stands {codes.count(code)} times; a plan has each code once.")
        for code in dict.fromkeys(codes)
        if codes.count(code) > 1
    ]


def _disordered(charges: Sequence[ChargeFile]) -> list[Problem]:
    """The list is the order of the invoice: positions, where they are written, may not go down."""
    return [
        Problem("plan_file.charges", f"{after.code!r} has a position below that of {before.code!r}; swap the two.")
        for before, after in pairwise(charges)
        if after.position < before.position
    ]


def _slug(fields: Fields, key: str) -> str:
    text = _text(fields, key, 60)
    if not _SLUG.fullmatch(text):
        raise PriceError("invalid_choice", f"{text!r} is no code; use letters, digits, “-” and “_”.", fields.at(key))
    return text


def _text(fields: Fields, key: str, longest: int, default: str | None = None) -> str:
    """One line of text; the default, where there is one, when the key is absent."""
    value = fields.required(key) if default is None else fields.obj.get(key, default)
    if not isinstance(value, str):
        raise PriceError("not_a_text", f"Write a text here, not {value!r}.", fields.at(key))
    if not value.isprintable() or value != value.strip():
        raise PriceError("not_a_text", f"{value!r} is no plain line of text; write one.", fields.at(key))
    if len(value) > longest or (default is None and not value):
        message = f"This has {len(value)} characters; write 1 to {longest}."
        raise PriceError("out_of_range", message, fields.at(key))
    return value


def _choice(fields: Fields, key: str, choices: Iterable[str]) -> str:
    """One of some words, or "" where the key is absent."""
    return fields.choice(key, choices, "") if fields.obj.get(key, "") != "" else ""


def _integer(fields: Fields, key: str, least: int, most: int) -> int:
    value = fields.required(key)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise PriceError("out_of_range", f"Write a whole number from {least} to {most}, not {value!r}.", fields.at(key))
    return value
