"""Prices that look at each event: a share of its value, within bounds; or the price that it carries (R3)."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from billing.money import EXACT
from billing.pricing.exact import Exact, added, less, times
from billing.pricing.prices import Dynamic, Percentage
from billing.pricing.ratings import Step, charged, made_of
from billing.pricing.words import Words, number, plural


def percent(rate: Decimal) -> Decimal:
    """The factor of a rate in percent."""
    return EXACT.divide(rate, Decimal(100))


def charge_totals(model: Percentage | Dynamic, amount: Exact, events: int, words: Words) -> list[Step]:
    """What single events cost whose values add up to `amount`, where no more of them needs to be known."""
    if isinstance(model, Dynamic):
        return [_carried(model, amount, events, words)]
    steps = [_share(model, amount, words)]
    if model.fixed_amount is not None:
        steps.append(_fixed(model.fixed_amount, events, words))
    return steps


@dataclass(slots=True)
class _Each:
    """What is added up while events go by."""

    share: Exact = Decimal(0)
    paying: int = 0
    free: int = 0
    free_value: Exact = Decimal(0)
    lifted: int = 0
    lift: Exact = Decimal(0)
    cut: int = 0
    cuts: Exact = Decimal(0)


def charge_each(model: Percentage | Dynamic, values: Sequence[Exact], words: Words) -> list[Step]:
    """What events of these values, in order of time, cost together: a step for each kind of thing that was charged."""
    if isinstance(model, Dynamic):
        return [_carried(model, added(values), len(values), words)]
    found = _walk(model, values)
    steps = []
    if found.free or found.free_value:
        label = f"Included: {_events(found.free)}, {words.units(found.free_value)}"
        steps.append(made_of(label, Decimal(0), quantity=found.free_value))
    steps.append(_share(model, found.share, words))
    if model.fixed_amount is not None:
        steps.append(_fixed(model.fixed_amount, found.paying, words))
    if found.lifted and model.minimum_per_event is not None:
        label = f"Minimum of {words.money(model.minimum_per_event)} for {_events(found.lifted)}"
        steps.append(made_of(label, found.lift))
    if found.cut and model.maximum_per_event is not None:
        label = f"Maximum of {words.money(model.maximum_per_event)} for {_events(found.cut)}"
        steps.append(made_of(label, less(Decimal(0), found.cuts)))
    return steps


def _walk(model: Percentage, values: Sequence[Exact]) -> _Each:
    """Event by event: free ones first, until their number or their value runs out."""
    found = _Each()
    left_events, left_value = model.free_events, model.free_amount
    free = (left_events is not None or left_value is not None) and left_events != 0 and left_value != 0
    factor, fixed = percent(model.rate), model.fixed_amount or Decimal(0)
    low, high = model.minimum_per_event, model.maximum_per_event
    for value in values:
        paid = value
        if free:
            covered = value if left_value is None or value <= left_value else left_value
            found.free_value = added((found.free_value, covered))
            crosses = covered != value
            left_value = None if left_value is None else _decimal(less(left_value, covered))
            if not crosses:
                found.free += 1
                left_events = None if left_events is None else left_events - 1
            free = not crosses and left_events != 0 and (left_value is None or left_value > 0)
            if not crosses:
                continue
            paid = less(value, covered)
        found.paying += 1
        found.share = added((found.share, paid))
        cost = added((times(paid, factor), fixed))
        if low is not None and cost < low:
            found.lifted, found.lift = found.lifted + 1, added((found.lift, less(low, cost)))
        elif high is not None and cost > high:
            found.cut, found.cuts = found.cut + 1, added((found.cuts, less(cost, high)))
    return found


def _decimal(value: Exact) -> Decimal:
    """What is left of a free value: bounds have finite decimals, and so has each comparison that matters."""
    return value if isinstance(value, Decimal) else EXACT.divide(Decimal(value.numerator), Decimal(value.denominator))


def _share(model: Percentage, value: Exact, words: Words) -> Step:
    return charged(f"{number(model.rate)}% of {words.units(value)}", value, percent(model.rate), None)


def _fixed(amount: Decimal, events: int, words: Words) -> Step:
    return charged(f"{_events(events)} at {words.money(amount)} each", Decimal(events), amount, None)


def _carried(model: Dynamic, amount: Exact, events: int, words: Words) -> Step:
    label = f"Prices of {_events(events)}"
    if model.multiplier != 1:
        label += f" × {number(model.multiplier)}"
    return charged(label, amount, model.multiplier, None)


def _events(count: int) -> str:
    return f"{count:,} {plural('event', Decimal(count))}"
