"""Plans out of and into the database as files (docs/formats.md, “A plan”)."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from django.db import transaction

from billing.catalog.errors import NothingToImport, PlanFileError, Problem
from billing.catalog.models import Charge, ChargeCode, ChargePrice, Plan, PlanVersion, Product
from billing.catalog.plan_diff import Change, differences
from billing.catalog.plan_values import ChargeFile, PlanFile, read_plan, to_json
from billing.catalog.services import new_version
from billing.catalog.units.models import CustomUnit
from billing.metering.models import Meter
from billing.pricing import parse_price, price_to_json
from billing.pricing.prices import CustomUnit as CustomUnitOfPrice

__all__ = [
    "Preview", "file_of", "import_plan", "latest_of", "plan_to_json", "preview_import", "read_file", "read_plan",
    "same", "unit_names", "unsaved_version",
]  # fmt: skip

_SAME = (
    "name", "kind", "pay", "unit", "cadence", "proration", "window", "invoice_group", "tax_code", "revenue_treatment",
    "position",
)  # fmt: skip


def read_file(text: str) -> PlanFile:
    """Read a plan from the text of a file; PlanFileError when it is no JSON, names a key twice, or is no plan."""
    try:
        return read_plan(json.loads(text, object_pairs_hook=_once))
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise PlanFileError([Problem(where, f"This is not JSON: {error.msg}.")]) from None
    except RecursionError:
        raise PlanFileError([Problem("plan_file", "This is nested too deep to be read.")]) from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise PlanFileError([Problem(key, "This key stands twice in one object; keep one.")])
        found[key] = value
    return found


def file_of(version: PlanVersion) -> PlanFile:
    """What a version charges, as a plain value; four queries, fewer where it is prefetched.

    A version that carries `all_charges` with `all_prices` is read from these: it need not be saved.
    """
    charges = getattr(version, "all_charges", None)
    if charges is None:
        charges = version.charges.select_related("code", "meter").prefetch_related("prices")
    plan = version.plan
    return PlanFile(
        product=plan.product.code, product_name=plan.product.name, plan=plan.code, plan_name=plan.name,
        charges=tuple(map(_charge_file, charges)), note=version.note,
    )  # fmt: skip


def _charge_file(charge: Charge) -> ChargeFile:
    meter = charge.meter
    rows = getattr(charge, "all_prices", None)
    rows = charge.prices.all() if rows is None else rows
    prices = [parse_price(row.price, f"{charge.code.code}.{row.currency}") for row in rows]
    return ChargeFile(
        code=charge.code.code, meter=meter.code if meter else "",
        meter_version=meter.version if meter and meter.superseded_at else None,
        prices=tuple(sorted(prices, key=lambda price: price.currency)),
        **{name: getattr(charge, name) for name in _SAME},
    )  # fmt: skip


def plan_to_json(version: PlanVersion) -> dict[str, Any]:
    """A version with its plan and product as JSON, in the form that `read_plan` reads back as the same."""
    return to_json(file_of(version))


def latest_of(plan_code: str) -> PlanVersion | None:
    """The latest version of a plan, in whatever state; None where the plan is new or has none."""
    versions = PlanVersion.objects.filter(plan__code=plan_code).select_related("plan__product")
    return versions.order_by("-number").first()


def unsaved_version(plan: PlanFile, *, note: str = "") -> PlanVersion:
    """The version that importing the file would make, unsaved, with `all_charges` and their `all_prices`; four queries.

    It is numbered after the plan's latest. Meters and known charge codes are those of the database; charges, and codes
    that are new, have ids below 0, which no saved one has. PlanFileError names what the file takes for granted and the
    database does not have.
    """
    latest = latest_of(plan.plan)
    product = Product.objects.filter(code=plan.product).first()
    meters = _checked(plan, product, latest)
    offer = latest.plan if latest else Plan.objects.filter(code=plan.plan).first()
    product = product or Product(code=plan.product, name=plan.product_name)
    offer = offer or Plan(product=product, code=plan.plan, name=plan.plan_name)
    version = PlanVersion(plan=offer, number=latest.number + 1 if latest else 1, note=note or plan.note)
    codes = {code.code: code for code in ChargeCode.objects.filter(product=product)} if product.pk else {}
    version.all_charges = [  # type: ignore[attr-defined]
        _unsaved(charge, -place, version, codes.get(charge.code) or ChargeCode(-place, code=charge.code), meters)
        for place, charge in enumerate(plan.charges, start=1)
    ]
    return version


def _unsaved(
    row: ChargeFile, key: int, version: PlanVersion, code: ChargeCode, meters: dict[tuple[str, int | None], Meter]
) -> Charge:
    charge = Charge(
        id=key, version=version, code=code, meter=meters.get((row.meter, row.meter_version)),
        **{name: getattr(row, name) for name in _SAME},
    )  # fmt: skip
    charge.all_prices = [  # type: ignore[attr-defined]
        ChargePrice(charge=charge, currency=price.currency, price=price_to_json(price)) for price in row.prices
    ]
    return charge


@dataclass(frozen=True, slots=True)
class Preview:
    """What an import would do: onto which version, and what changes."""

    headline: str
    changes: list[Change]


def preview_import(plan: PlanFile) -> Preview:
    """What importing the file would change, before it does; errors as `import_plan` raises them."""
    latest = latest_of(plan.plan)
    wanted = unsaved_version(plan)
    if latest is None:
        headline = f"A new plan, {wanted.plan} ({wanted.plan.code}), with {len(plan.charges)} charges:"
        return Preview(headline, differences(None, plan, unit_names([wanted])))
    known = file_of(latest)
    if same(known, plan):
        raise NothingToImport(latest)
    return Preview(f"{wanted}, compared with {latest}:", differences(known, plan, unit_names([latest, wanted])))


def unit_names(versions: Iterable[PlanVersion]) -> dict[str, str]:
    """What the meters of versions count, in the singular, by the meters' codes; at most one query a version."""
    charges: list[Charge] = []
    for version in versions:
        carried = getattr(version, "all_charges", None)
        charges += version.charges.select_related("meter") if carried is None else carried
    return {charge.meter.code: charge.meter.unit for charge in charges if charge.meter}


def import_plan(plan: PlanFile, *, note: str = "") -> PlanVersion:
    """Make a draft version of what a file says, with its product and plan where they are new; all of it or nothing.

    NothingToImport when the latest version says the same; PlanFileError as in `unsaved_version`.
    """
    with transaction.atomic():
        product, _ = Product.objects.get_or_create(code=plan.product, defaults={"name": plan.product_name})
        offer, _ = Plan.objects.get_or_create(code=plan.plan, defaults={"product": product, "name": plan.plan_name})
        Plan.objects.select_for_update().get(pk=offer.pk)  # of two people with one file, the second imports nothing
        latest = latest_of(plan.plan)
        wanted = unsaved_version(plan, note=note)
        if latest is not None and same(file_of(latest), file_of(wanted)):
            raise NothingToImport(latest)
        version = new_version(plan=offer, note=wanted.note)
        for charge in wanted.all_charges:  # type: ignore[attr-defined]
            prices = charge.all_prices
            charge.pk, charge.version = None, version
            charge.code, _ = ChargeCode.objects.get_or_create(product=product, code=charge.code.code)
            charge.save(force_insert=True)
            for each in prices:
                each.charge = charge
            ChargePrice.objects.bulk_create(prices)
    return version


def same(one: PlanFile, other: PlanFile) -> bool:
    """Whether two versions charge the same, whatever their notes say."""
    return replace(one, note="") == replace(other, note="")


def _checked(
    plan: PlanFile, product: Product | None, latest: PlanVersion | None
) -> dict[tuple[str, int | None], Meter]:
    """The meters of a file by code and version; PlanFileError with all that the database knows otherwise or not."""
    offer = latest.plan if latest else Plan.objects.select_related("product").filter(code=plan.plan).first()
    problems = [] if offer is None else _renamed("plan", plan.plan, plan.plan_name, offer.name)
    if offer is not None and offer.product.code != plan.product:
        message = f"The plan {plan.plan!r} is of the product {offer.product.code!r}; write that, or another plan."
        problems.append(Problem("plan_file.product.code", message))
    elif product is not None:
        problems += _renamed("product", plan.product, plan.product_name, product.name)
    meters = _meters(plan)
    units = dict(CustomUnit.objects.values_list("code", "places"))
    for place, charge in enumerate(plan.charges):
        path = f"plan_file.charges[{place}]"
        if charge.meter and (charge.meter, charge.meter_version) not in meters:
            version = f" in version {charge.meter_version}" if charge.meter_version else ""
            message = f"There is no meter {charge.meter!r}{version}; make it first, or write the code of another."
            problems.append(Problem(f"{path}.meter", message))
        for number, price in enumerate(charge.prices):
            unit = price.custom_unit
            if unit and units.get(unit.code) != unit.places:
                problems.append(Problem(f"{path}.prices[{number}].custom_unit", _unit_problem(unit, units)))
    if problems:
        raise PlanFileError(problems)
    return meters


def _renamed(key: str, code: str, given: str, known: str) -> list[Problem]:
    if given == known:
        return []
    message = f"The {key} {code!r} is called “{known}”, not “{given}”; write its name, or rename it on its page first."
    return [Problem(f"plan_file.{key}.name", message)]


def _unit_problem(unit: CustomUnitOfPrice, units: dict[str, int]) -> str:
    known = units.get(unit.code)
    if known is None:
        return f"There is no custom unit {unit.code!r}; make it first."
    return f"The unit {unit.code!r} has {known} decimal places, not {unit.places}; write {known}."


def _meters(plan: PlanFile) -> dict[tuple[str, int | None], Meter]:
    """The meters that a file names: the current version of each, and the versions named; one query."""
    found: dict[tuple[str, int | None], Meter] = {}
    for meter in Meter.objects.filter(code__in={charge.meter for charge in plan.charges}):
        if meter.superseded_at is None:
            found[meter.code, None] = meter
        found[meter.code, meter.version] = meter
    return found
