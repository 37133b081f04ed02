"""What changed between two versions of a plan, in the words of who sells it. Pure: no Django, no clock."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final, Literal

from billing.catalog.plan_values import ChargeFile, PlanFile
from billing.catalog.wording import price_in_words
from billing.money import plain
from billing.pricing import price_to_json
from billing.pricing.prices import (
    Graduated,
    GraduatedPercentage,
    Matrix,
    Price,
    RateTier,
    Stairstep,
    Tier,
    Unit,
    Volume,
    VolumePercentage,
)
from billing.pricing.words import Words

Kind = Literal["added", "removed", "changed"]
Tiered = Graduated | Volume | Stairstep | GraduatedPercentage | VolumePercentage

# A field, what it is called, and what it says where it is empty.
_FIELDS: Final = (
    ("kind", "kind", ""),
    ("pay", "paid", ""),
    ("meter", "meter", "none"),
    ("unit", "unit", "none"),
    ("cadence", "cadence", "the contract’s"),
    ("proration", "proration", "the contract’s"),
    ("window", "priced by", "the whole period"),
    ("invoice_group", "heading on the invoice", "none"),
    ("tax_code", "tax code", "none"),
    ("revenue_treatment", "revenue treatment", "that of its kind"),
)
_WORDS: Final = {
    "in_advance": "in advance", "in_arrears": "in arrears", "recurring": "recurring fee", "hour": "the hour",
    "day": "the day", "second": "the second", "month30": "30 days a month", "ratable": "ratably over the period",
    "as_used": "as used", "point": "at a point, on delivery",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Change:
    """One difference: of which charge (its name), and the sentence."""

    kind: Kind
    charge: str
    words: str

    def __str__(self) -> str:
        return f"{self.charge}: {self.words}"


def differences(old: PlanFile | None, new: PlanFile, units: Mapping[str, str] | None = None) -> list[Change]:
    """What `new` does otherwise than `old`, in the order of the new invoice; None for `old`: everything is new.

    `units` says what a meter counts, in the singular, by the meter's code.
    """
    names = units or {}
    before = {charge.code: charge for charge in old.charges} if old else {}
    after = {charge.code: charge for charge in new.charges}
    found: list[Change] = []
    for charge in new.charges:
        if charge.code in before:
            found += [Change("changed", charge.name, words) for words in _changed(before[charge.code], charge, names)]
        else:
            found.append(Change("added", charge.name, f"added, {_prices(charge, names)}"))
    for charge in before.values():
        if charge.code not in after:
            found.append(Change("removed", charge.name, f"removed; it was {_prices(charge, names)}"))
    return found + _reordered(old, new)


def _prices(charge: ChargeFile, units: Mapping[str, str]) -> str:
    return " / ".join(price_in_words(price, _unit(charge, units)) for price in charge.prices) or "without a price"


def _unit(charge: ChargeFile, units: Mapping[str, str]) -> str:
    return units.get(charge.meter, "unit") if charge.meter else charge.unit or "unit"


def _changed(old: ChargeFile, new: ChargeFile, units: Mapping[str, str]) -> Iterator[str]:
    if old.name != new.name:
        yield f"called “{new.name}” instead of “{old.name}”"
    for field, label, empty in _FIELDS:
        was, now = getattr(old, field), getattr(new, field)
        if was != now:
            yield f"{label} from {_WORDS.get(was, was) or empty} to {_WORDS.get(now, now) or empty}"
    if old.meter == new.meter and old.meter_version != new.meter_version:
        yield f"meter version from {old.meter_version or 'the current one'} to {new.meter_version or 'the current one'}"
    unit = _unit(new, units)
    for currency in sorted({price.currency for price in (*old.prices, *new.prices)}):
        yield from _price(old.price_in(currency), new.price_in(currency), unit, currency)


def _price(old: Price | None, new: Price | None, unit: str, currency: str) -> Iterator[str]:
    """What changed of the price in one currency: tier by tier, or cell by cell, where only these changed."""
    if old == new:
        return
    if old is None and new is not None:
        yield f"sold in {currency} too, {price_in_words(new, unit)}"
    elif old is not None and new is None:
        yield f"no longer sold in {currency}; it was {price_in_words(old, unit)}"
    elif old is not None and new is not None:
        parts = _tiers(old, new, unit) or _cells(old, new, unit)
        yield from parts or [_from_to(price_in_words(old, unit), price_in_words(new, unit))]


def _from_to(old: str | None, new: str | None) -> str:
    if old is None:
        return f"added, {new}"
    return f"removed; it was {old}" if new is None else f"from {old} to {new}"


def _tiers(old: Price, new: Price, unit: str) -> list[str]:
    """The changed tiers of two prices that differ in nothing else, by their upper bounds; else nothing."""
    was, now = old.model, new.model
    if not (isinstance(was, Tiered) and isinstance(now, Tiered) and _alike(old, new, "tiers")):
        return []
    words = Words(new.currency, unit, new.unit.divide_by, new.custom_unit)
    before, after = ({tier.up_to: _tier(tier, words) for tier in tiers} for tiers in (was.tiers, now.tiers))
    return [
        f"{'tier without end' if bound is None else f'tier to {words.units(bound)}'}"
        f" {_from_to(before.get(bound), after.get(bound))}"
        for bound in sorted({*before, *after}, key=_last_open)
        if before.get(bound) != after.get(bound)
    ]


def _alike(old: Price, new: Price, *but: str) -> bool:
    """Whether two prices differ in nothing but these keys."""
    one, other = price_to_json(old), price_to_json(new)
    return one | dict.fromkeys(but) == other | dict.fromkeys(but)


def _last_open(bound: Decimal | None) -> tuple[bool, Decimal]:
    return bound is None, bound or Decimal(0)


def _tier(tier: Tier | RateTier, words: Words) -> str:
    parts = []
    if isinstance(tier, RateTier):
        parts.append(f"{plain(tier.rate)} %")
    elif tier.unit_amount is not None:
        each = words.unit_name if words.divide_by == 1 else words.metered(words.divide_by)
        each = words.units(tier.package_size) if tier.package_size else each
        parts.append(f"{words.money(tier.unit_amount)} per {each}")
    if tier.flat_amount is not None:
        parts.append(f"{words.money(tier.flat_amount)} flat")
    return " plus ".join(parts) or "free"


def _cells(old: Price, new: Price, unit: str) -> list[str]:
    """The changed cells of two matrices that differ in nothing else, by their values; else nothing."""
    was, now = old.model, new.model
    if not (isinstance(was, Matrix) and isinstance(now, Matrix) and _alike(old, new, "cells", "default")):
        return []
    before, after = (_told(price, model, unit) for price, model in ((old, was), (new, now)))
    return [
        f"{place} {_from_to(before.get(place), after.get(place))}"
        for place in {**after, **before}
        if before.get(place) != after.get(place)
    ]


def _told(price: Price, matrix: Matrix, unit: str) -> dict[str, str]:
    """The price of each cell in words, with the unit and the currency of the whole, by the cell's values."""
    rows = [(" / ".join(cell.when), cell.price) for cell in matrix.cells]
    rows += [("all others", matrix.default)] if matrix.default else []
    return {
        place: price_in_words(
            replace(each, unit=price.unit if each.unit == Unit() else each.unit, custom_unit=price.custom_unit), unit
        )
        for place, each in rows
    }


def _reordered(old: PlanFile | None, new: PlanFile) -> list[Change]:
    """Whether the charges that both have stand in another order."""
    kept = [{charge.code for charge in plan.charges} for plan in (old, new) if plan]
    common = set.intersection(*kept)
    orders = [[charge.code for charge in plan.charges if charge.code in common] for plan in (old, new) if plan]
    if len(orders) < 2 or orders[0] == orders[1]:
        return []
    names = {charge.code: charge.name for charge in new.charges}
    return [Change("changed", "Order on the invoice", ", ".join(names[code] for code in orders[1]))]
