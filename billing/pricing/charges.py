"""The steps of each price model for a converted quantity of 0 or more, free allowance already taken off (R3)."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from math import ceil, floor

from billing.pricing.exact import Exact, less, simplest
from billing.pricing.percentages import charge_totals, percent
from billing.pricing.prices import (
    Flat,
    Graduated,
    GraduatedPercentage,
    Model,
    Package,
    Percentage,
    PerUnit,
    RateTier,
    Stairstep,
    Tier,
    Volume,
    VolumePercentage,
)
from billing.pricing.ratings import Step, charged
from billing.pricing.words import Words, number, plural


def charge(model: Model, quantity: Exact, words: Words) -> list[Step]:
    """What the model charges for the quantity, before discounts and rounding; not for matrices, nor per event."""
    match model:
        case Flat(amount):
            return [Step("Flat fee", None, None, amount, amount)]
        case PerUnit(unit_amount):
            return [charged(f"{words.units(quantity)} at {words.each(unit_amount)}", quantity, unit_amount, None)]
        case Graduated():
            return _graduated(model, quantity, words)
        case Volume():
            return [_volume(model, quantity, words)]
        case Package():
            return [_package(model, quantity, words)]
        case Stairstep(tiers):
            return [_stairstep(tiers, quantity, words)]
        case Percentage():
            return charge_totals(model, quantity, 0, words)
        case GraduatedPercentage(rates):
            return _graduated_rates(rates, quantity, words)
        case VolumePercentage(rates):
            return [_volume_rate(rates, quantity, words)]
    raise TypeError(f"{type(model).__name__} takes more than a quantity.")


def _graduated(model: Graduated, quantity: Exact, words: Words) -> list[Step]:
    """A step per tier reached; the first is reached at zero, its flat amount only with `flat_at_zero`."""
    if len(model.tiers) == 1:
        return [_tier_step(words.units(quantity), model.tiers[0], quantity, model.flat_at_zero, words)]
    steps: list[Step] = []
    lower = Decimal(0)
    for place, tier in enumerate(model.tiers):
        if quantity <= lower and steps:
            break
        if tier.up_to is not None and quantity >= tier.up_to:
            steps.append(_full_tier(model.tiers, place, model.flat_at_zero, words))
            lower = tier.up_to
            continue
        part = less(quantity, lower)
        steps.append(_tier_step(_span(model.tiers, place, words), tier, part, model.flat_at_zero, words))
        break
    return steps


@lru_cache(maxsize=4096)
def _full_tier(tiers: tuple[Tier, ...], place: int, flat_at_zero: bool, words: Words) -> Step:
    """The step of a tier that is used up: the same for each quantity beyond it."""
    tier = tiers[place]
    assert tier.up_to is not None
    part = less(tier.up_to, (place and tiers[place - 1].up_to) or Decimal(0))
    return _tier_step(_span(tiers, place, words), tier, part, flat_at_zero, words)


def _span(tiers: Sequence[Tier | RateTier], place: int, words: Words) -> str:
    """“First 1,000 tokens”, “Next 4,000 tokens”, “Above 5,000 tokens”."""
    lower, upper = (tiers[place - 1].up_to if place else None) or Decimal(0), tiers[place].up_to
    if upper is None:
        return f"Above {words.units(lower)}"
    return f"{'Next' if place else 'First'} {words.units(less(upper, lower))}"


def _tier_of(tiers: Sequence[Tier | RateTier], quantity: Exact) -> int:
    """The place of the tier that contains the quantity; a bound belongs to the tier that it ends."""
    for place, tier in enumerate(tiers):
        if tier.up_to is None or quantity <= tier.up_to:
            return place
    raise ValueError("The last tier is open.")


def _bounds(tiers: Sequence[Tier | RateTier], place: int, words: Words) -> str:
    """“ (tier above 1,000 up to 5,000)”, or nothing where there is one tier."""
    lower, upper = tiers[place - 1].up_to if place else None, tiers[place].up_to
    bounds = [f"above {words.count(lower)}"] if lower is not None else []
    bounds += [f"up to {words.count(upper)}"] if upper is not None else []
    return f" (tier {' '.join(bounds)})" if bounds else ""


def _volume(model: Volume, quantity: Exact, words: Words) -> Step:
    place = _tier_of(model.tiers, quantity)
    step = _tier_step(words.units(quantity), model.tiers[place], quantity, model.flat_at_zero, words)
    label = step.label + _bounds(model.tiers, place, words)
    return Step(label, step.quantity, step.unit_amount, step.flat_amount, step.amount)


def _stairstep(tiers: Sequence[Tier], quantity: Exact, words: Words) -> Step:
    place = _tier_of(tiers, quantity)
    amount = tiers[place].flat_amount or Decimal(0)
    label = f"{words.units(quantity)} for {words.money(amount)}{_bounds(tiers, place, words)}"
    return charged(label, quantity, None, amount)


def _package(model: Package, quantity: Exact, words: Words) -> Step:
    """Whole packages, rounded up (or down) from the quantity."""
    parts = Fraction(quantity) / Fraction(model.package_size)
    packages = Decimal(ceil(parts) if model.round == "up" else floor(parts))
    size = words.units(model.package_size)
    label = f"{number(packages)} {plural('package', packages)} of {size} at {words.money(model.amount)}"
    return charged(label, packages, model.amount, None)


def _tier_step(span: str, tier: Tier, part: Exact, flat_at_zero: bool, words: Words) -> Step:
    """A tier's share of the quantity at its unit amount, in blocks where it is sold in them, plus its flat amount."""
    flat = tier.flat_amount if part > 0 or flat_at_zero else None
    if tier.unit_amount is None:
        return charged(f"{span} {'at no charge' if flat is None else f'for {words.money(flat)}'}", part, None, flat)
    if tier.package_size is None:
        label = f"{span} at {words.each(tier.unit_amount)}"
    else:
        part = Decimal(ceil(Fraction(part) / Fraction(tier.package_size)))
        label = f"{span} at {words.money(tier.unit_amount)} per {words.units(tier.package_size)}"
    return charged(label if flat is None else f"{label} plus {words.money(flat)}", part, tier.unit_amount, flat)


def _graduated_rates(tiers: Sequence[RateTier], value: Exact, words: Words) -> list[Step]:
    """A step per tier reached, of the value that lies in it."""
    steps: list[Step] = []
    lower = Decimal(0)
    for place, tier in enumerate(tiers):
        if value <= lower and steps:
            break
        upper = tier.up_to
        part = less(value if upper is None or value < upper else upper, lower)
        span = _span(tiers, place, words) if len(tiers) > 1 else words.units(value)
        steps.append(_rate_step(span, tier, part, words))
        lower = lower if upper is None else upper
    return steps


def _volume_rate(tiers: Sequence[RateTier], value: Exact, words: Words) -> Step:
    place = _tier_of(tiers, value)
    span = words.units(value)
    step = _rate_step(span, tiers[place], value, words)
    label = step.label + _bounds(tiers, place, words)
    return Step(label, step.quantity, step.unit_amount, step.flat_amount, step.amount)


def _rate_step(span: str, tier: RateTier, part: Exact, words: Words) -> Step:
    label = f"{span} at {number(tier.rate)}%"
    if tier.flat_amount is not None:
        label += f" plus {words.money(tier.flat_amount)}"
    return charged(label, simplest(Fraction(part)), percent(tier.rate), tier.flat_amount)
