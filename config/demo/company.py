"""Lumen AI, the company of the demo: its two legal entities, its logins, its meters, products and plans."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group, User

from billing.catalog.drafting import charge_code, set_prices
from billing.catalog.models import Charge, Plan, PlanVersion, Product
from billing.catalog.services import new_version, publish
from billing.metering.models import Meter
from customers.models import LegalEntity

PASSWORD = "meterbook"  # noqa: S105  printed at the end; the demo refuses to run in production
LOGINS = {"revops": "RevOps", "finance": "Finance", "engineer": "Engineer", "auditor": "Auditor"}

ENTITIES: list[dict[str, str]] = [
    {
        "code": "lumen-us", "name": "Lumen AI, Inc.", "address": "510 Townsend Avenue, Floor 9\nNew York, NY 10016",
        "country": "US", "tax_id": "87-3316402", "email": "billing@lumen-ai.example", "currency": "USD",
        "bank_details": "Hudson & Fourth Bank\nABA 021000322\nAccount 4830 1172 905", "colour": "#0b6e75",
        "legal_text": "Overdue amounts bear interest of 1 % a month.",
        "timezone": "America/New_York", "invoice_prefix": "LUS-",
    },
    {
        "code": "lumen-eu", "name": "Lumen AI Europe GmbH", "address": "Torstraße 140\n10119 Berlin", "country": "DE",
        "tax_id": "DE351904827", "email": "rechnung@lumen-ai.example", "currency": "EUR",
        "bank_details": "Spreebank Berlin", "iban": "DE02120300000000202051", "bic": "BYLADEM1001",
        "colour": "#0b6e75", "reference": "creditor",
        "footer": "Lumen AI Europe GmbH · Amtsgericht Charlottenburg, HRB 218405 B · Geschäftsführerin: Ines Falk",
        "timezone": "Europe/Berlin", "invoice_prefix": "LEU-",
    },
]  # fmt: skip

METERS: list[dict[str, Any]] = [
    {"code": "input-tokens", "name": "Input tokens", "event_type": "inference", "aggregation": "sum",
     "value": "input_tokens", "unit": "token", "group_by": ["model"]},
    {"code": "output-tokens", "name": "Output tokens", "event_type": "inference", "aggregation": "sum",
     "value": "output_tokens", "unit": "token", "group_by": ["model"]},
    {"code": "api-calls", "name": "API calls", "event_type": "inference", "aggregation": "sum",
     "value": "calls", "unit": "call", "group_by": ["region"]},
    {"code": "images", "name": "Images analysed", "event_type": "vision", "aggregation": "sum",
     "value": "images", "unit": "image"},
    {"code": "models-used", "name": "Models used", "event_type": "inference", "aggregation": "unique_count",
     "value": "model", "unit": "model"},
]  # fmt: skip

# What one unit of money in USD costs in the other currencies' price lists, and the places they are rounded to.
PRICE_LISTS: dict[str, tuple[Decimal, int]] = {
    "USD": (Decimal(1), 2), "EUR": (Decimal("0.92"), 2), "JPY": (Decimal(150), 0),
}  # fmt: skip

MILLION = {"divide_by": "1000000"}
AMOUNTS = {"amount", "unit_amount", "flat_amount"}


def make_logins() -> dict[str, User]:
    """A login for each role and an administrator, all with the same password."""
    password = make_password(PASSWORD)
    logins = {name: User(username=name, password=password, is_staff=True) for name in LOGINS}
    logins["admin"] = User(username="admin", password=password, is_staff=True, is_superuser=True)
    for name, user in logins.items():
        user.first_name, user.email = name.capitalize(), f"{name}@lumen-ai.example"
    User.objects.bulk_create(logins.values())
    for name, role in LOGINS.items():
        logins[name].groups.add(Group.objects.get(name=role))
    return logins


def make_entities() -> dict[str, LegalEntity]:
    """The sellers, by code."""
    return {fields["code"]: LegalEntity.objects.create(**fields) for fields in ENTITIES}


def entity_code(currency: str) -> str:
    """Who sells in a currency: the GmbH in euros, the Inc. in all others."""
    return "lumen-eu" if currency == "EUR" else "lumen-us"


def make_catalog(*, user: User, now: datetime) -> dict[str, PlanVersion]:
    """Meters, products, plans and their first versions, published; by plan code."""
    meters = {fields["code"]: Meter.objects.create(**fields) for fields in METERS}
    inference = Product.objects.create(code="inference-api", name="Inference API")
    vision = Product.objects.create(code="vision-api", name="Vision API")
    versions = {}
    for product, code, name, charges in [
        (inference, "build", "Build", _BUILD),
        (inference, "scale", "Scale", _SCALE),
        (inference, "enterprise", "Enterprise", _ENTERPRISE),
        (vision, "vision", "Vision", _VISION),
    ]:
        plan = Plan.objects.create(product=product, code=code, name=name)
        version = new_version(plan=plan, note="First price list")
        for position, charge in enumerate(charges):
            _add_charge(version, position, charge, meters)
        versions[code] = publish(version=version, user=user, now=now, reason="Its meters start with the plan.")
    return versions


def cut_output_price(*, version: PlanVersion, user: User, now: datetime) -> PlanVersion:
    """The next version of a plan: output tokens cost a tenth less, everything else stays."""
    fresh = new_version(plan=version.plan, note="Output tokens 10% cheaper", copy_of=version)
    output = fresh.charges.get(code__code="output-tokens")
    price = {"model": "per_unit", "unit": MILLION, "unit_amount": "8.10"}
    set_prices(charge=output, prices=list(in_every_currency(price)))
    return publish(version=fresh, user=user, now=now, reason="Agreed with sales.")


def in_every_currency(price: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A price in USD as it stands in each currency's price list."""
    for currency, (factor, places) in PRICE_LISTS.items():
        yield _converted(price, factor, places) | {"currency": currency}


def _converted(value: Any, factor: Decimal, places: int) -> Any:
    """A price with its amounts converted; quantities, bounds and percentages stay."""
    if isinstance(value, list):
        return [_converted(each, factor, places) for each in value]
    if not isinstance(value, Mapping):
        return value
    return {
        key: _amount(Decimal(each) * factor, places) if key in AMOUNTS else _converted(each, factor, places)
        for key, each in value.items()
    }


def _amount(exact: Decimal, places: int) -> str:
    """Rounded as price lists are: to the currency's places, and small unit prices to four places more than those."""
    return f"{exact.quantize(Decimal(1).scaleb(-places if exact >= 1 else -places - 4)):f}"


def _add_charge(version: PlanVersion, position: int, spec: Mapping[str, Any], meters: Mapping[str, Meter]) -> None:
    meter = meters.get(spec["code"])
    charge = Charge.objects.create(
        version=version, code=charge_code(product=version.plan.product, code=spec["code"]), name=spec["name"],
        kind="usage" if meter else "recurring", pay="in_arrears" if meter else "in_advance", meter=meter,
        unit=spec.get("unit", ""), position=position,
    )  # fmt: skip
    set_prices(charge=charge, prices=list(in_every_currency(spec["price"])))


def _fee(amount: str, name: str = "Platform fee") -> dict[str, Any]:
    return {"code": "platform-fee", "name": name, "price": {"model": "flat", "amount": amount}}


def _seats(amount: str) -> dict[str, Any]:
    return {"code": "seats", "name": "Seats", "unit": "seat", "price": {"model": "per_unit", "unit_amount": amount}}


def _input(*tiers: tuple[str | None, str]) -> dict[str, Any]:
    """Input tokens, graduated: each million at the price of its tier."""
    rows = [{"up_to": bound, "unit_amount": amount} for bound, amount in tiers]
    return {
        "code": "input-tokens",
        "name": "Input tokens",
        "price": {"model": "graduated", "unit": MILLION, "tiers": rows},
    }


def _output(amount: str) -> dict[str, Any]:
    price = {"model": "per_unit", "unit": MILLION, "unit_amount": amount}
    return {"code": "output-tokens", "name": "Output tokens", "price": price}


_BUILD: list[dict[str, Any]] = [
    _fee("49.00"),
    _seats("12.00"),
    _input(("100", "2.40"), (None, "2.10")),
    _output("9.60"),
    {"code": "api-calls", "name": "API calls", "price": {
        "model": "package", "free_quantity": "10000", "package_size": "10000", "amount": "4.00"}},
]  # fmt: skip

_SCALE: list[dict[str, Any]] = [
    _fee("990.00"),
    _seats("18.00"),
    _input(("200", "2.20"), ("1000", "1.80"), (None, "1.50")),
    _output("9.00"),
    {"code": "api-calls", "name": "API calls", "price": {
        "model": "volume", "unit": {"divide_by": "1000"}, "tiers": [
            {"up_to": "500", "unit_amount": "0.35"}, {"up_to": "2000", "unit_amount": "0.28"},
            {"up_to": None, "unit_amount": "0.22"}]}},
]  # fmt: skip

_ENTERPRISE: list[dict[str, Any]] = [
    _fee("4900.00"),
    _seats("25.00"),
    _input(("1000", "1.60"), ("5000", "1.30"), (None, "1.05")),
    _output("7.20"),
    {"code": "api-calls", "name": "API calls", "price": {
        "model": "per_unit", "unit": {"divide_by": "1000"}, "unit_amount": "0.15",
        "discounts": [{"percentage": "10"}]}},
]  # fmt: skip

_VISION: list[dict[str, Any]] = [
    _fee("199.00", "Vision platform fee"),
    {"code": "images", "name": "Images analysed", "price": {
        "model": "graduated", "free_quantity": "1000", "tiers": [
            {"up_to": "50000", "unit_amount": "0.0035"}, {"up_to": None, "unit_amount": "0.0022"}]}},
]  # fmt: skip
