"""Rating: a price and usage become an amount and the steps that explain it. Exact until the one rounding (R3)."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor

from billing.money import EXACT, round_money
from billing.pricing.charges import charge
from billing.pricing.errors import PriceError
from billing.pricing.exact import Exact, added, exactly, less, simplest, times
from billing.pricing.matrices import Matching, matched
from billing.pricing.percentages import charge_each, charge_totals
from billing.pricing.prices import CustomUnit, Discount, Dynamic, Matrix, Percentage, Price, Unit
from billing.pricing.ratings import Rating, Step, made_of
from billing.pricing.usages import Cells, Events, EventUse, Totals, Usage
from billing.pricing.words import Words, number

_ROUNDED = {"up": " (rounded up)", "down": " (rounded down)", "half_up": " (rounded)"}


def rate(price: Price, usage: Usage, unit_name: str = "unit") -> Rating:
    """What usage costs at `price`: unit, free, model, discounts, minimum, maximum, one rounding (R3).

    Quantities are in metered units, of which `unit_name` is the name in the singular, for the labels. A negative
    quantity bills 0, whatever the price. ValueError for NaN and infinities. PriceError where the usage does not
    suffice (`events_needed`, `cells_needed`), names a combination without a price (`no_cell`), or a custom unit has
    no rate (`rate_needed`).
    """
    words = Words(price.currency, unit_name, price.unit.divide_by, price.custom_unit)
    if price.custom_unit and price.custom_unit.rate is None:
        message = f"{price.custom_unit.code} have no rate in {price.currency}; write what one of them is worth."
        raise PriceError("rate_needed", message, "price.custom_unit.rate")
    steps, refused = _discounted(price, usage, words)
    before = added(step.amount for step in steps)
    if not refused:
        steps += _bounds(price, before, words)
    raised = price.minimum_amount is not None and before < price.minimum_amount and not refused
    if price.custom_unit:
        before, _ = _converted(price.custom_unit, before, [], words)
    total = before if len(steps) == 0 else added(step.amount for step in steps)
    if price.custom_unit:
        total, steps = _converted(price.custom_unit, total, steps, words)
    amount = round_money(total, price.currency)
    base = round_money(before, price.currency) if raised else amount
    return Rating(amount, total, price.currency, tuple(steps), EXACT.subtract(amount, base))


def _discounted(price: Price, usage: Usage, words: Words) -> tuple[list[Step], bool]:
    """The steps of unit, free quantity, model and discounts; and whether a negative quantity bills nothing at all."""
    if isinstance(price.model, Matrix):
        steps = _cells(price, price.model, usage, words)
    elif isinstance(price.model, Dynamic) or (isinstance(price.model, Percentage) and price.model.per_event):
        steps = _by_event(price, usage, words)
    else:
        metered = _quantity(usage)
        if metered < 0:
            label = f"Negative quantity, billed as 0: {words.metered(metered)}"
            return [made_of(label, Decimal(0), quantity=metered)], True
        units, steps = _convert(price.unit, metered, words)
        free = units if units < price.free_quantity else exactly(price.free_quantity)
        if free:
            steps.append(_included(price, free, words))
            units = less(units, free)
        steps += charge(price.model, units, words)
    if price.discounts:
        remaining = added(step.amount for step in steps)
        for discount in price.discounts:
            step = _discount(discount, remaining, words)
            if step.amount:
                steps.append(step)
                remaining = added((remaining, step.amount))
    return steps, False


def _included(price: Price, free: Exact, words: Words) -> Step:
    whole = words.units(price.free_quantity)
    label = f"Included: {whole}" if free == price.free_quantity else f"Included: {words.count(free)} of {whole}"
    return made_of(label, Decimal(0), quantity=free)


def _quantity(usage: Usage) -> Exact:
    """The one quantity of any usage: of single events and of cells, their sum."""
    if isinstance(usage, Totals):
        usage = usage.amount
    elif isinstance(usage, Cells):
        return added(exactly(quantity) for _, quantity in usage.rows)
    elif isinstance(usage, Events):
        return added(exactly(event.amount) for event in usage.rows)
    if isinstance(usage, Decimal) and not usage.is_finite():
        raise ValueError(f"{usage} is no quantity; rate a finite number.")
    return usage


def _by_event(price: Price, usage: Usage, words: Words) -> list[Step]:
    """Percentages and prices that each event carries: of single events, or of what they add up to."""
    model = price.model
    assert isinstance(model, Percentage | Dynamic)
    if isinstance(usage, Totals):
        amount, notes = _convert(price.unit, exactly(usage.amount), words)
        return notes + charge_totals(model, amount, usage.events, words)
    if not isinstance(usage, Events):
        message = "This price looks at each event; give events, each with its amount, and no quantity."
        raise PriceError("events_needed", message, "usage")
    values = [_convert(price.unit, exactly(event.amount), words)[0] for event in usage.rows]
    steps: list[Step] = []
    left: Exact = exactly(price.free_quantity)
    for place, value in enumerate(values):
        if not left:
            break
        taken = min(left, max(value, Decimal(0)))
        values[place], left = less(value, taken), less(left, taken)
    if price.free_quantity and left != price.free_quantity:
        steps.append(_included(price, less(price.free_quantity, left), words))
    return steps + charge_each(model, values, words)


def _cells(price: Price, matrix: Matrix, usage: Usage, words: Words) -> list[Step]:
    """Each combination of values that was used, by its own price; the free quantity goes to the first of them."""
    if not isinstance(usage, Cells | Events):
        message = f"This price depends on {', '.join(matrix.dimensions)}; give cells or events with their values."
        raise PriceError("cells_needed", message, "usage")
    steps: list[Step] = []
    left: Exact = exactly(price.free_quantity)
    for match in matched(matrix, usage):
        used, extra = _converted_usage(price.unit, match, words)
        steps += [_named(step, match.name) for step in extra]
        if left and not isinstance(used, Events):
            taken = min(left, max(_quantity(used), Decimal(0)))
            left = less(left, taken)
            if taken:
                steps.append(_named(made_of(f"Included: {words.units(taken)}", Decimal(0), quantity=taken), match.name))
            used = less(_quantity(used), taken)
        inner = replace(match.price, currency=price.currency)
        within = Words(
            price.currency, words.unit_name, EXACT.multiply(words.divide_by, inner.unit.divide_by), words.custom_unit
        )
        own, refused = _discounted(inner, used, within)
        if not refused:
            own += _bounds(inner, added(step.amount for step in own), within)
        steps += [_named(step, match.name) for step in own]
    return steps or [made_of(f"No {words.unit_name} used", Decimal(0), quantity=Decimal(0))]


def _converted_usage(unit: Unit, match: Matching, words: Words) -> tuple[Usage, list[Step]]:
    if isinstance(match.usage, Events):
        rows = (EventUse(_convert(unit, each.amount, words)[0]) for each in match.usage.rows)
        return Events(tuple(rows)), []
    return _convert(unit, exactly(match.usage), words)


def _named(step: Step, name: str) -> Step:
    return replace(step, label=f"{name}: {step.label}")


def _convert(unit: Unit, metered: Exact, words: Words) -> tuple[Exact, list[Step]]:
    """Metered units as priced units, with a step that says so where they were rounded."""
    if unit.divide_by == 1 and unit.round == "none":
        return metered, []
    exact = Fraction(metered) / Fraction(unit.divide_by)
    match unit.round:
        case "none":
            return simplest(exact), []
        case "up":
            units = ceil(exact)
        case "down":
            units = floor(exact)
        case "half_up":
            units = floor(exact + Fraction(1, 2))
    if units == exact:
        return Decimal(units), []
    label = f"{words.metered(metered)} count as {words.units(Decimal(units))}{_ROUNDED[unit.round]}"
    return Decimal(units), [made_of(label, Decimal(0), quantity=Decimal(units))]


def _discount(discount: Discount, remaining: Exact, words: Words) -> Step:
    """A percentage of what remains, or an amount that takes nothing below zero."""
    if discount.percentage is not None:
        share = EXACT.divide(discount.percentage, Decimal(100))
        return made_of(f"{number(discount.percentage)}% discount", times(remaining, share.copy_negate()))
    amount = discount.amount or Decimal(0)
    taken = min(amount, max(remaining, Decimal(0)))
    used = "" if taken == amount else ", as far as it goes"
    return made_of(f"Discount of {words.money(amount)}{used}", less(Decimal(0), taken))


def _bounds(price: Price, total: Exact, words: Words) -> list[Step]:
    """What lifts the total to the minimum, or cuts it to the maximum."""
    low, high = price.minimum_amount, price.maximum_amount
    if low is not None and total < low:
        return [made_of(f"Minimum for the period: {words.money(low)}", less(low, total))]
    if high is not None and total > high:
        return [made_of(f"Maximum for the period: {words.money(high)}", less(high, total))]
    return []


def _converted(unit: CustomUnit, total: Exact, steps: list[Step], words: Words) -> tuple[Exact, list[Step]]:
    """Custom units, rounded to their own places, and every step in the currency, so that they still add up."""
    assert unit.rate is not None
    rate_of = unit.rate
    scaled = Fraction(total) * 10**unit.places
    digits = (2 * abs(scaled).numerator + scaled.denominator) // (2 * scaled.denominator)
    rounded = Decimal(digits if scaled > 0 else -digits).scaleb(-unit.places, EXACT)
    found = [_in_currency(step, rate_of) for step in steps]
    if rounded != total:
        label = f"Rounded to {words.money(rounded)}"
        found.append(made_of(label, times(less(rounded, total), rate_of)))
    worth = Words(words.currency, words.unit_name).money(rate_of)
    found.append(made_of(f"{words.money(rounded)} at {worth} each", Decimal(0)))
    return times(rounded, rate_of), found


def _in_currency(step: Step, rate_of: Decimal) -> Step:
    def worth(amount: Decimal | None) -> Decimal | None:
        return None if amount is None else EXACT.multiply(amount, rate_of)

    return Step(
        step.label, step.quantity, worth(step.unit_amount), worth(step.flat_amount), times(step.amount, rate_of)
    )
