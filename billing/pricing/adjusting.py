"""What surrounds every model: conversion, free quantity, discounts, minimum, maximum, custom unit (R3)."""

from decimal import Decimal

from billing.money import EXACT
from billing.pricing.exact import ZERO, Exact, minus, over, percent, plus, times, whole
from billing.pricing.prices import CustomUnit, Discount, Price, Unit
from billing.pricing.ratings import Step, made_of
from billing.pricing.words import Words, number

_ROUNDED = {"up": " (rounded up)", "down": " (rounded down)", "half_up": " (rounded)"}


def convert(unit: Unit, metered: Exact, words: Words) -> tuple[Exact, list[Step]]:
    """Metered units as priced units, with a step that says so where they were rounded."""
    exact = over(metered, unit.divide_by)
    if unit.round == "none":
        return exact, []
    units = whole(exact, unit.round)
    if units == exact:
        return units, []
    label = f"{words.metered(metered)} count as {words.units(units)}{_ROUNDED[unit.round]}"
    return units, [made_of(label, ZERO, quantity=units)]


def included(price: Price, free: Exact, words: Words) -> list[Step]:
    """The free quantity, as far as it was used."""
    if not free:
        return []
    unit = words.units(price.free_quantity)
    label = f"Included: {unit}" if free == price.free_quantity else f"Included: {words.count(free)} of {unit}"
    return [made_of(label, ZERO, quantity=free)]


def discounted(price: Price, total: Exact, steps: list[Step], words: Words) -> Exact:
    """The total after the price's discounts as listed, each of them added to the steps."""
    for discount in price.discounts:
        step = _discount(discount, total, words)
        if step.amount:
            steps.append(step)
            total = plus(total, step.amount)
    return total


def _discount(discount: Discount, remaining: Exact, words: Words) -> Step:
    """A percentage of what remains, or an amount that takes nothing below zero."""
    if discount.percentage is not None:
        off = times(remaining, percent(discount.percentage))
        return made_of(f"{number(discount.percentage)}% discount", minus(ZERO, off))
    amount = discount.amount or ZERO
    taken = min(amount, max(remaining, ZERO))
    used = "" if taken == amount else ", as far as it goes"
    return made_of(f"Discount of {words.money(amount)}{used}", minus(ZERO, taken))


def bounds(price: Price, total: Exact, words: Words) -> tuple[Step | None, bool]:
    """What lifts the total to the minimum (and True), or cuts it to the maximum."""
    low, high = price.minimum_amount, price.maximum_amount
    if low is not None and total < low:
        return made_of(f"Minimum for the period: {words.money(low)}", minus(low, total)), True
    if high is not None and total > high:
        return made_of(f"Maximum for the period: {words.money(high)}", minus(high, total)), False
    return None, False


def custom(unit: CustomUnit, total: Exact, steps: list[Step], words: Words) -> tuple[Exact, list[Step]]:
    """A total in a custom unit, rounded to its places, and every step, in the currency, so that they still add up."""
    assert unit.rate is not None
    worth = unit.rate
    rounded = whole(total, "half_up", unit.places)
    found = [_in_currency(step, worth) for step in steps]
    if rounded != total:
        found.append(made_of(f"Rounded to {words.money(rounded)}", times(minus(rounded, total), worth)))
    one = Words(words.currency, "").money(worth)
    found.append(made_of(f"{words.money(rounded)} at {one} each", ZERO, quantity=rounded))
    return times(rounded, worth), found


def _in_currency(step: Step, worth: Decimal) -> Step:
    """The step with its amounts in the currency."""
    unit, flat = step.unit_amount, step.flat_amount
    return Step(
        step.label,
        step.quantity,
        None if unit is None else _product(unit, worth),
        None if flat is None else _product(flat, worth),
        times(step.amount, worth),
    )


def _product(one: Decimal, other: Decimal) -> Decimal:
    return EXACT.multiply(one, other)
