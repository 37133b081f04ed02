"""A percentage of each event, with what is free and a minimum and a maximum per event (R3)."""

from collections.abc import Iterable, Iterator
from decimal import Decimal

from billing.pricing.exact import ZERO, Exact, added, minus, percent, plus, times
from billing.pricing.prices import Percentage
from billing.pricing.ratings import Step, charged, made_of
from billing.pricing.words import Words, number, plural


def charge_each(model: Percentage, values: Iterable[Exact], words: Words) -> list[Step]:
    """Rate × value + fixed, then minimum, then maximum, for each event; told as sums over all events.

    Events are free until `free_events` or `free_amount` runs out, which ends both. The event that crosses the free
    amount pays the fixed part whole and the rate on the excess.
    """
    rate, fixed = percent(model.rate), model.fixed_amount or ZERO
    low, high = model.minimum_per_event, model.maximum_per_event
    charged_value: Exact = ZERO
    lifts: list[Exact] = []
    cuts: list[Exact] = []
    free_value: Exact = ZERO
    events = free = 0
    for value, excess in _excesses(model, values):
        free_value = plus(free_value, value if excess is None else minus(value, excess))
        if excess is None:
            free += 1
            continue
        events += 1
        charged_value = plus(charged_value, excess)
        amount = plus(times(rate, excess), fixed)
        if low is not None and amount < low:
            lifts.append(minus(low, amount))
            amount = low
        if high is not None and amount > high:
            cuts.append(minus(high, amount))
    steps = []
    if free or free_value:
        label = f"Included: {words.units(free_value)}, {_events(free)} free"
        steps.append(made_of(label, ZERO, quantity=free_value))
    steps.append(charged(f"{number(model.rate)}% of {words.units(charged_value)}", charged_value, rate, None))
    if model.fixed_amount is not None:
        label = f"{_events(events)} at {words.money(fixed)}"
        steps.append(charged(label, Decimal(events), fixed, None))
    if low is not None and lifts:
        steps.append(made_of(f"Minimum of {words.money(low)} an event: {_events(len(lifts))}", added(lifts)))
    if high is not None and cuts:
        steps.append(made_of(f"Maximum of {words.money(high)} an event: {_events(len(cuts))}", added(cuts)))
    return steps


def _excesses(model: Percentage, values: Iterable[Exact]) -> Iterator[tuple[Exact, Exact | None]]:
    """Each value with the part of it that is charged; None where the event is free."""
    most, until = model.free_events, model.free_amount
    ended = most is None and until is None
    used: Exact = ZERO
    for seen, value in enumerate(values):
        ended = ended or (most is not None and seen >= most) or (until is not None and used >= until)
        if ended:
            yield value, value
            continue
        used = plus(used, value)
        yield value, None if until is None or used <= until else minus(used, until)


def _events(count: int) -> str:
    return f"{count:,} {plural('event', Decimal(count))}"
