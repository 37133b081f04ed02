"""The steps of each model for a converted quantity of 0 or more, free allowance already taken off (R3)."""

from decimal import Decimal

from billing.pricing.exact import Exact, minus, over, percent, whole
from billing.pricing.prices import (
    Dynamic,
    Flat,
    Graduated,
    GraduatedPercentage,
    Model,
    Package,
    Percentage,
    PerUnit,
    Stairstep,
    Volume,
    VolumePercentage,
)
from billing.pricing.ratings import Step, charged
from billing.pricing.tiers import containing, rungs
from billing.pricing.words import Words, number, plural


def charge(model: Model, quantity: Exact, words: Words, events: int | None = None) -> list[Step]:
    """What the model charges for the quantity, before discounts and rounding; `events` is how many made it.

    A matrix is the sum of its cells (`matrices`), and a percentage that looks at each event has its own way
    (`percentages`).
    """
    match model:
        case Graduated() | GraduatedPercentage():
            return _graduated(model, quantity, words)
        case PerUnit(unit_amount):
            return [charged(f"{words.units(quantity)} at {words.each(unit_amount)}", quantity, unit_amount, None)]
        case Flat(amount):
            return [Step("Flat fee", None, None, amount, amount)]
        case Volume() | VolumePercentage() | Stairstep():
            return [_volume(model, quantity, words)]
        case Package():
            return [_package(model, quantity, words)]
        case Percentage():
            return _percentage(model, quantity, words, events or 0)
        case Dynamic(multiplier):
            counted = "the events" if events is None else f"{events:,} {plural('event', Decimal(events))}"
            factor = "" if multiplier == 1 else f" × {number(multiplier)}"
            return [charged(f"Prices of {counted}, {words.units(quantity)}{factor}", quantity, multiplier, None)]
    raise AssertionError("a matrix is rated cell by cell")


def _graduated(model: Graduated | GraduatedPercentage, quantity: Exact, words: Words) -> list[Step]:
    """A step per tier reached; the first is reached at zero, its flat amount only with `flat_at_zero`."""
    ladder = rungs(model, words)
    flat = bool(quantity) or not isinstance(model, Graduated) or model.flat_at_zero
    if len(ladder) == 1:
        return [ladder[0].step(words.units(quantity), quantity, flat=flat)]
    steps: list[Step] = []
    for rung in ladder:
        if rung.full is not None and rung.upper is not None and quantity >= rung.upper:
            steps.append(rung.full)
            if quantity == rung.upper:
                break
        else:
            steps.append(rung.step(rung.span, minus(quantity, rung.lower), flat=flat))
            break
    return steps


def _volume(model: Volume | VolumePercentage | Stairstep, quantity: Exact, words: Words) -> Step:
    """The one tier that contains the quantity; a bound belongs to the tier that it ends."""
    rung = containing(rungs(model, words), quantity)
    bounds = [f"above {words.count(rung.lower)}"] if rung.lower else []
    bounds += [f"up to {words.count(rung.upper)}"] if rung.upper is not None else []
    span = words.units(quantity)
    flat = bool(quantity) or not isinstance(model, Volume) or model.flat_at_zero
    step = rung.step(span, quantity, flat=flat)
    if not bounds:
        return step
    return Step(
        f"{step.label} (tier {' '.join(bounds)})", step.quantity, step.unit_amount, step.flat_amount, step.amount
    )


def _package(model: Package, quantity: Exact, words: Words) -> Step:
    """Whole packages, rounded up (or down) from the quantity."""
    packages = whole(over(quantity, model.package_size), model.round)
    size = words.units(model.package_size)
    label = f"{number(packages)} {plural('package', packages)} of {size} at {words.money(model.amount)}"
    return charged(label, packages, model.amount, None)


def _percentage(model: Percentage, value: Exact, words: Words, events: int) -> list[Step]:
    """The rate on the sum of the values, and the fixed amount of each event."""
    steps = [charged(f"{number(model.rate)}% of {words.units(value)}", value, percent(model.rate), None)]
    if model.fixed_amount is not None:
        count = Decimal(events)
        label = f"{events:,} {plural('event', count)} at {words.money(model.fixed_amount)}"
        steps.append(charged(label, count, model.fixed_amount, None))
    return steps
