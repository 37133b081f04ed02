"""Rating: a price and a quantity become an amount and the steps that explain it. Exact until the one rounding (R3)."""

from decimal import Decimal
from fractions import Fraction
from math import ceil, floor

from billing.money import round_money
from billing.pricing.charges import charge
from billing.pricing.exact import simplest
from billing.pricing.prices import Discount, Price, Unit
from billing.pricing.ratings import Rating, Step, made_of
from billing.pricing.words import Words, number

_ROUNDED = {"up": " (rounded up)", "down": " (rounded down)", "half_up": " (rounded)"}


def rate(price: Price, quantity: Decimal | Fraction, unit_name: str = "unit") -> Rating:
    """What `quantity`, in metered units, costs at `price`: conversion, free, model, discounts, one rounding (R3).

    `unit_name` is the metered unit in singular, for the labels. A negative quantity bills 0, whatever the price.
    ValueError for NaN and infinities.
    """
    words = Words(price.currency, unit_name, price.unit.divide_by)
    metered = _fraction(quantity)
    if metered < 0:
        label = f"Negative quantity, billed as 0: {words.metered(metered)}"
        return _rating(price, [made_of(label, Fraction(0), quantity=metered)])
    units, steps = _convert(price.unit, metered, words)
    free = min(units, Fraction(price.free_quantity))
    if free:
        whole = words.units(Fraction(price.free_quantity))
        label = f"Included: {whole}" if free == price.free_quantity else f"Included: {words.count(free)} of {whole}"
        steps.append(made_of(label, Fraction(0), quantity=free))
    steps += charge(price.model, units - free, words)
    remaining = _total(steps)
    for discount in price.discounts:
        step = _discount(discount, remaining, words)
        if step.amount:
            steps.append(step)
            remaining += Fraction(step.amount)
    return _rating(price, steps)


def _fraction(quantity: Decimal | Fraction) -> Fraction:
    if isinstance(quantity, Decimal) and not quantity.is_finite():
        raise ValueError(f"{quantity} is no quantity; rate a finite number.")
    return Fraction(quantity)


def _convert(unit: Unit, metered: Fraction, words: Words) -> tuple[Fraction, list[Step]]:
    """Metered units as priced units, with a step that says so where they were rounded."""
    exact = metered / Fraction(unit.divide_by)
    match unit.round:
        case "none":
            units = exact
        case "up":
            units = Fraction(ceil(exact))
        case "down":
            units = Fraction(floor(exact))
        case "half_up":
            units = Fraction(floor(exact + Fraction(1, 2)))
    if units == exact:
        return units, []
    label = f"{words.metered(metered)} count as {words.units(units)}{_ROUNDED[unit.round]}"
    return units, [made_of(label, Fraction(0), quantity=units)]


def _discount(discount: Discount, remaining: Fraction, words: Words) -> Step:
    """A percentage of what remains, or an amount that takes nothing below zero."""
    if discount.percentage is not None:
        percentage = Fraction(discount.percentage)
        return made_of(f"{number(percentage)}% discount", -remaining * percentage / 100)
    amount = discount.amount or Decimal(0)
    taken = min(Fraction(amount), max(remaining, Fraction(0)))
    used = "" if taken == amount else ", as far as it goes"
    return made_of(f"Discount of {words.money(amount)}{used}", -taken)


def _total(steps: list[Step]) -> Fraction:
    return sum((Fraction(step.amount) for step in steps), Fraction(0))


def _rating(price: Price, steps: list[Step]) -> Rating:
    total = _total(steps)
    return Rating(round_money(total, price.currency), simplest(total), price.currency, tuple(steps))
