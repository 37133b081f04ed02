"""The steps of each price model for a converted quantity of 0 or more, free allowance already taken off (R3)."""

from decimal import Decimal
from fractions import Fraction
from math import ceil, floor

from billing.pricing.prices import Flat, Graduated, Model, Package, PerUnit, Tier, Volume
from billing.pricing.ratings import Step, charged
from billing.pricing.words import Words, number, plural


def charge(model: Model, quantity: Fraction, words: Words) -> list[Step]:
    """What the model charges for the quantity, before discounts and rounding."""
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


def _graduated(model: Graduated, quantity: Fraction, words: Words) -> list[Step]:
    """A step per tier reached; the first is reached at zero, its flat amount only with `flat_at_zero`."""
    if len(model.tiers) == 1:
        return [_tier_step(words.units(quantity), model.tiers[0], quantity, model.flat_at_zero, words)]
    steps: list[Step] = []
    lower = Fraction(0)
    for tier in model.tiers:
        if quantity <= lower and steps:
            break
        upper = None if tier.up_to is None else Fraction(tier.up_to)
        part = (quantity if upper is None else min(quantity, upper)) - lower
        if upper is None:
            span = f"Above {words.units(lower)}"
        else:
            span = f"{'Next' if steps else 'First'} {words.units(upper - lower)}"
        steps.append(_tier_step(span, tier, part, model.flat_at_zero, words))
        lower = upper if upper is not None else lower
    return steps


def _volume(model: Volume, quantity: Fraction, words: Words) -> Step:
    """The one tier that contains the quantity; a bound belongs to the tier that it ends."""
    lower: Decimal | None = None
    for tier in model.tiers:
        if tier.up_to is None or quantity <= tier.up_to:
            break
        lower = tier.up_to
    bounds = [f"above {words.count(lower)}"] if lower is not None else []
    bounds += [f"up to {words.count(tier.up_to)}"] if tier.up_to is not None else []
    step = _tier_step(words.units(quantity), tier, quantity, model.flat_at_zero, words)
    label = f"{step.label} (tier {' '.join(bounds)})" if bounds else step.label
    return Step(label, step.quantity, step.unit_amount, step.flat_amount, step.amount)


def _package(model: Package, quantity: Fraction, words: Words) -> Step:
    """Whole packages, rounded up (or down) from the quantity."""
    parts = quantity / Fraction(model.package_size)
    packages = Fraction(ceil(parts) if model.round == "up" else floor(parts))
    size = words.units(Fraction(model.package_size))
    label = f"{number(packages)} {plural('package', packages)} of {size} at {words.money(model.amount)}"
    return charged(label, packages, model.amount, None)


def _tier_step(span: str, tier: Tier, part: Fraction, flat_at_zero: bool, words: Words) -> Step:
    """A tier's share of the quantity at its unit amount, in blocks where it is sold in them, plus its flat amount."""
    flat = tier.flat_amount if part > 0 or flat_at_zero else None
    if tier.unit_amount is None:
        return charged(f"{span} {'at no charge' if flat is None else f'for {words.money(flat)}'}", part, None, flat)
    if tier.package_size is None:
        label = f"{span} at {words.each(tier.unit_amount)}"
    else:
        part = Fraction(ceil(part / Fraction(tier.package_size)))
        label = f"{span} at {words.money(tier.unit_amount)} per {words.units(Fraction(tier.package_size))}"
    return charged(label if flat is None else f"{label} plus {words.money(flat)}", part, tier.unit_amount, flat)
