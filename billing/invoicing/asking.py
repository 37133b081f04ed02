"""What the run asks of the usage store, each question once, however many slots it serves."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import groupby

from billing.catalog.terms.values import NOT_ADDITIVE
from billing.invoicing.usage import Answer, Question
from billing.metering.asking import Claim, Known, Quantity, Request
from billing.metering.expressions import divides
from billing.metering.filters import Filter, read_filters
from billing.metering.interface import events
from billing.metering.models import Meter
from billing.metering.narrowing import name_of, passes, told_by
from billing.metering.queries import claims_of
from billing.metering.windows import split
from billing.money import EXACT
from billing.pricing.usages import Cells, Events, EventUse, Need, Totals, Usage

Values = tuple[str | None, ...]
Cell = tuple[Values, Decimal]
ClaimsOf = Mapping[int, tuple[Claim, ...]]
"""By customer."""
Asked = tuple[int, str, Need, str]
"""Meter, narrowing, need and window: what one statement answers."""
NOT_ADDED = NOT_ADDITIVE | {"weighted_sum"}
"""Aggregations whose windows must not be added: an average level of each hour is none of the day (R2.3)."""


def answers(
    questions: Iterable[Question], *, claims: ClaimsOf | None = None, known: Known | None = None
) -> dict[Question, Answer]:
    """The store's answer to each question; equal ones are asked once, all about a meter in one statement.

    The number of queries grows with meters, and ways to narrow and to price them, and not with the questions.
    MonthDetached when events are needed of a month that lies in the archive. `claims` are those in force unless given;
    with `known` only what was known of usage then is counted, from the events.
    """
    asked = dict.fromkeys(questions)
    if claims is None:
        claims = claims_of({question.customer_id for question in asked})
    groups: dict[Asked, list[Question]] = defaultdict(list)
    for question in asked:
        groups[question.meter_id, question.narrowed_by, question.need, question.window].append(question)
    meters = Meter.objects.in_bulk({meter_id for meter_id, *_ in groups})
    if known is not None:
        meters = {key: meter.as_known(known) for key, meter in meters.items()}
    found: dict[Question, Answer] = {}
    for (meter_id, narrowed_by, need, window), group in groups.items():
        ask = _windows if window else _whole
        found.update(zip(group, ask(meters[meter_id], narrowed_by, need, group, claims), strict=True))
    return found


def _whole(meter: Meter, narrowed_by: str, need: Need, group: Sequence[Question], claims: ClaimsOf) -> Iterable[Answer]:
    """Answers to questions about whole periods."""
    requests = [
        Request(place, claims[each.customer_id], each.period, each.full, each.timezone)
        for place, each in enumerate(group)
    ]
    for usage in _usages(meter, narrowed_by, need, requests):
        yield Answer((usage,), _quantity([usage], meter.aggregation in NOT_ADDITIVE))


def _windows(
    meter: Meter, narrowed_by: str, need: Need, group: Sequence[Question], claims: ClaimsOf
) -> Iterable[Answer]:
    """Answers by hour or day of the question's zone; windows without usage are only counted."""
    cut = [split(each.period, each.window, each.timezone) for each in group if each.window]
    requests = [
        Request(place, claims[each.customer_id], window, timezone=each.timezone)
        for place, (each, window) in enumerate(
            (each, window) for each, windows in zip(group, cut, strict=True) for window in windows
        )
    ]
    usages = iter(_usages(meter, narrowed_by, need, requests))
    for windows in cut:
        used = [(window.start, usage) for window in windows if _is_used(usage := next(usages))]
        each = tuple(usage for _, usage in used)
        yield Answer(
            each, _quantity(each, meter.aggregation in NOT_ADDED), tuple(start for start, _ in used),
            len(windows) - len(used),
        )  # fmt: skip


def _usages(meter: Meter, narrowed_by: str, need: Need, requests: Sequence[Request]) -> list[Usage]:
    """What each request used, in their order."""
    filters = read_filters(json.loads(narrowed_by, parse_float=Decimal), "narrowed_by") if narrowed_by else ()
    if need.kind == "events":
        return _events(meter.narrowed(filters) if filters else meter, need, requests)
    rows = counted(meter, filters, need.dimensions, requests)
    if need.kind == "cells":
        cells: dict[int, list[Cell]] = defaultdict(list)
        for key, values, quantity in rows:
            cells[key].append((values, quantity.value))
        return [Cells(need.dimensions, tuple(cells[request.key])) for request in requests]
    by_key = {key: quantity for key, _, quantity in rows}
    quantities = [by_key.get(request.key, Quantity()) for request in requests]
    if need.kind == "totals":
        return [Totals(quantity.value, quantity.events) for quantity in quantities]
    return [quantity.value for quantity in quantities]


def counted(
    meter: Meter, filters: tuple[Filter, ...], dimensions: Sequence[str], requests: Sequence[Request]
) -> Iterable[tuple[int, Values, Quantity]]:
    """Key, values of dimensions and quantity; narrowed from the rollup's cells where they tell, else from events."""
    if not filters or not _told(meter, filters):
        narrowed = meter.narrowed(filters) if filters else meter
        yield from events.breakdown(narrowed, requests, dimensions)
        return
    names = [*dimensions, *dict.fromkeys(name_of(each) for each in filters if name_of(each) not in dimensions)]
    rows = [
        (key, values[: len(dimensions)], quantity)
        for key, values, quantity in events.breakdown(meter, requests, names)
        if passes(filters, names, values)
    ]
    for (key, values), group in groupby(rows, lambda row: row[:2]):  # in order of both
        found = [quantity for _, _, quantity in group]
        yield key, values, Quantity(_sum(each.value for each in found), sum(each.events for each in found))


def _told(meter: Meter, filters: tuple[Filter, ...]) -> bool:
    """Whether the meter's cells can be added to what a narrowed meter counts, to the last digit."""
    definition = meter.definition()
    return (
        meter.rollup_ready
        and meter.aggregation in ("count", "sum")
        and not meter.prorate
        and definition.rounding is None
        and not (definition.value is not None and divides(definition.value))
        and told_by(filters, meter.group_by)
    )


def _events(meter: Meter, need: Need, requests: Sequence[Request]) -> list[Usage]:
    """Single events in order of time."""
    rows: dict[int, list[EventUse]] = defaultdict(list)
    for key, values, value in events.values(meter, requests, need.dimensions):
        rows[key].append(EventUse(value, tuple(zip(need.dimensions, values, strict=True))))
    return [Events(tuple(rows[request.key])) for request in requests]


def _is_used(usage: Usage) -> bool:
    """Whether there is anything to rate."""
    match usage:
        case Cells(_, rows) | Events(rows):
            return bool(rows)
        case Totals(amount, happened):
            return amount != 0 or happened > 0
    return usage != 0


def _quantity(usages: Sequence[Usage], apart: bool) -> Decimal | None:
    """Everything together, where that has a meaning: quantities of their own are never added (R2.3)."""
    numbers = [number for usage in usages for number in _numbers(usage)]
    if apart and len(numbers) > 1:
        return None
    return _sum(numbers)


def _numbers(usage: Usage) -> Iterable[Decimal]:
    match usage:
        case Cells(_, rows):
            return [quantity for _, quantity in rows]
        case Events(rows):
            return [row.amount for row in rows if isinstance(row.amount, Decimal)]
        case Totals(amount):
            return [amount]
        case Decimal():
            return [usage]
    raise AssertionError("the store answers in decimals")


def _sum(numbers: Iterable[Decimal]) -> Decimal:
    total = Decimal(0)
    for number in numbers:
        total = EXACT.add(total, number)
    return total
