"""Rating: a price and usage become an amount and the steps that explain it. Exact until the one rounding (R3)."""

from dataclasses import dataclass

from billing.money import EXACT, round_money
from billing.pricing.adjusting import bounds, convert, custom, discounted, included
from billing.pricing.charges import charge
from billing.pricing.errors import PriceError
from billing.pricing.exact import ZERO, Exact, added, exactly, minus, plus
from billing.pricing.matrices import Match, matched
from billing.pricing.percentages import charge_each
from billing.pricing.prices import Dynamic, Matrix, Percentage, Price
from billing.pricing.ratings import Rating, Step, made_of
from billing.pricing.usages import Cells, Events, Totals, Usage, needs
from billing.pricing.words import Words


@dataclass(slots=True)
class _Used:
    """What one combination used: the sum, and, where they are known, how many events and the value of each."""

    amount: Exact
    count: int | None = None
    values: list[Exact] | None = None


@dataclass(slots=True)
class _Cost:
    """Steps with their exact sum, and the part of it that a minimum added."""

    steps: list[Step]
    total: Exact
    lifted: Exact = ZERO


def rate(price: Price, usage: Usage, unit_name: str = "unit") -> Rating:
    """What usage costs at `price`: unit, free, model, discounts, minimum, maximum, one rounding (R3).

    Quantities are in metered units, of which `unit_name` is the name in the singular, for the labels. A negative
    quantity bills 0, whatever the price. ValueError for NaN and infinities. PriceError where the usage is not what
    the price takes (`quantity_needed`, `events_needed`, `cells_needed`), names a combination without a price
    (`no_cell`), or where a custom unit has no rate yet (`rate_needed`).
    """
    unit = price.custom_unit
    if unit is not None and unit.rate is None:
        message = f"{unit.code} have no rate in {price.currency}; write what one of them is worth."
        raise PriceError("rate_needed", message, "price.custom_unit.rate")
    words = Words(price.currency, unit_name, price.unit.divide_by, unit)
    cost = _cells(price, usage, words) if isinstance(price.model, Matrix) else _cost(price, _used(usage), words)
    total, steps = cost.total, cost.steps
    before = minus(total, cost.lifted) if cost.lifted else None
    if unit is not None:
        total, steps = custom(unit, total, steps, words)
        before = None if before is None else custom(unit, before, [], words)[0]
    amount = round_money(total, price.currency)
    top_up = ZERO if before is None else EXACT.subtract(amount, round_money(before, price.currency))
    return Rating(amount, total, price.currency, tuple(steps), top_up)


def _used(usage: Usage) -> _Used:
    """Any usage but that of a matrix, as one."""
    match usage:
        case Cells():
            message = "This price does not depend on dimensions; give one quantity, since not every one can be added."
            raise PriceError("quantity_needed", message, "usage")
        case Events(rows):
            values = [exactly(event.amount) for event in rows]
            return _Used(added(values), len(values), values)
        case Totals(amount, events):
            return _Used(exactly(amount), events)
    return _Used(exactly(usage))


def _cost(price: Price, used: _Used, words: Words) -> _Cost:
    """What one combination costs at a price other than a matrix, in the stated order but for the rounding."""
    if used.amount < 0:
        label = f"Negative quantity, billed as 0: {words.metered(used.amount)}"
        return _Cost([made_of(label, ZERO, quantity=used.amount)], ZERO)
    model = price.model
    if isinstance(model, Percentage | Dynamic):
        kind = needs(price).kind
        if (kind == "events" and used.values is None) or (kind == "totals" and used.count is None):
            message = "This price looks at each event; give events, each with its amount, and no quantity."
            raise PriceError("events_needed", message, "usage")
        if kind == "events" and used.values is not None and isinstance(model, Percentage):
            return _adjusted(price, _each(price, model, used.values, words), words)
    units, steps = convert(price.unit, used.amount, words)
    if price.free_quantity:
        free = min(units, price.free_quantity)
        steps += included(price, free, words)
        units = minus(units, free)
    steps += charge(model, units, words, used.count)
    return _adjusted(price, steps, words)


def _each(price: Price, model: Percentage, values: list[Exact], words: Words) -> list[Step]:
    """A percentage of each event: each value converted, and the free quantity off the first of them."""
    converted, left = off([convert(price.unit, value, words)[0] for value in values], price.free_quantity)
    return included(price, minus(price.free_quantity, left), words) + charge_each(model, converted, words)


def off(values: list[Exact], free: Exact) -> tuple[list[Exact], Exact]:
    """What a free quantity leaves of values in their order, and what is left of it."""
    result: list[Exact] = []
    for value in values:
        taken = min(free, max(value, ZERO)) if free else ZERO
        result.append(minus(value, taken) if taken else value)
        free = minus(free, taken)
    return result, free


def _cells(price: Price, usage: Usage, words: Words) -> _Cost:
    """Each combination that was used at its own price, then what surrounds all; the first get the free quantity."""
    assert isinstance(price.model, Matrix)
    steps: list[Step] = []
    left: Exact = price.free_quantity
    for match in matched(price.model, usage):
        used, own = _converted(price, match, words)
        if left:
            values, rest = off([used.amount] if used.values is None else used.values, left)
            own += included(price, minus(left, rest), words)
            used, left = _Used(added(values), used.count, None if used.values is None else values), rest
        divide_by = words.divide_by
        if match.price.unit.divide_by != 1:
            divide_by = EXACT.multiply(divide_by, match.price.unit.divide_by)
        within = Words(words.currency, words.unit_name, divide_by, words.custom_unit)
        own += _cost(match.price, used, within).steps
        steps += [_named(step, match.name) for step in own]
    return _adjusted(price, steps or [made_of(f"No {words.unit_name} used", ZERO, quantity=ZERO)], words)


def _converted(price: Price, match: Match, words: Words) -> tuple[_Used, list[Step]]:
    """What one combination used, in the units of the whole price: event by event where its own price looks at each."""
    if match.quantity is not None:
        units, steps = convert(price.unit, match.quantity, words)
        return _Used(units), steps
    count = len(match.events)
    if needs(match.price).kind == "events":
        values = [convert(price.unit, value, words)[0] for value in match.events]
        return _Used(added(values), count, values), []
    units, steps = convert(price.unit, added(match.events), words)
    return _Used(units, count), steps


def _named(step: Step, name: str) -> Step:
    return Step(f"{name}: {step.label}", step.quantity, step.unit_amount, step.flat_amount, step.amount)


def _adjusted(price: Price, steps: list[Step], words: Words) -> _Cost:
    """Discounts as listed, then the minimum, then the maximum."""
    total = steps[0].amount if len(steps) == 1 else added([step.amount for step in steps])
    if price.discounts:
        total = discounted(price, total, steps, words)
    bound, lifts = bounds(price, total, words)
    if bound is None:
        return _Cost(steps, total)
    steps.append(bound)
    return _Cost(steps, plus(total, bound.amount), bound.amount if lifts else ZERO)
