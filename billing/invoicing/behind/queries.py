"""The usage behind lines, by day and dimension, as far as it was known when the line was computed.

What became known later belongs to a later line, and is not told here. A draft's lines are told as they were drawn up.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from billing.catalog.terms.values import ChargeTerms
from billing.invoicing.asking import NOT_ADDED, Values, counted
from billing.invoicing.behind.terms import KnownTerms, known_terms
from billing.invoicing.models import InvoiceLine
from billing.invoicing.usage import need_of
from billing.metering.asking import Claim, Request
from billing.metering.filters import read_filters
from billing.metering.models import Meter
from billing.metering.queries import told_after
from billing.metering.windows import split
from billing.periods import Period, local_date

MOST_DIMENSIONS = 4
"""Dimensions by which a line is told at most."""


@dataclass(frozen=True, slots=True)
class DayUse:
    """What was used on a day (of the contract's zone) with these values of the dimensions, from how many events."""

    day: date
    values: Values
    quantity: Decimal
    events: int


@dataclass(slots=True)
class Behind:
    """The usage behind a line: rows in order of day and values.

    `adds` says whether the days add up to the quantity of the period: peaks and distinct values do not (R2.3), and
    then there are no dimensions. `unit` is in the singular.
    """

    line: InvoiceLine
    meter: Meter
    unit: str
    adds: bool
    dimensions: tuple[str, ...] = ()
    rows: list[DayUse] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of a line under one charge, which is asked for day by day."""

    line_id: int
    charge: ChargeTerms
    claims: tuple[Claim, ...]
    period: Period
    timezone: str


def usage_behind(lines: Iterable[InvoiceLine], known: Mapping[int, KnownTerms] | None = None) -> dict[int, Behind]:
    """The usage behind each line of a meter, by the line's id; other lines have no entry.

    `lines` come with `stream`; `known` is given where it was read. The number of queries grows with computations and
    meters, not with lines. MonthDetached when events are needed of a month that lies in the archive.
    """
    metered = [line for line in lines if line.kind == InvoiceLine.Kind.USAGE]
    known = known_terms(metered) if known is None else known
    groups: dict[int | None, list[InvoiceLine]] = defaultdict(list)
    for line in metered:
        groups[line.known].append(line)
    found: dict[int, Behind] = {}
    for group in groups.values():
        found |= _behind(group, known)
    return {line.pk: found[line.pk] for line in metered if line.pk in found}


def _behind(lines: Sequence[InvoiceLine], terms: Mapping[int, KnownTerms]) -> dict[int, Behind]:
    """Those of one computation, within what it knew."""
    asked = [each for line in lines for each in stretches(line, terms.get(line.pk))]
    known = next((terms[line.pk].usage for line in lines if line.pk in terms), None)
    meters = Meter.objects.in_bulk({each.charge.meter_id for each in asked})
    by_id = {line.pk: line for line in lines}
    found: dict[int, Behind] = {}
    for each in asked:
        meter = meters[each.charge.meter_id]
        if each.line_id not in found:
            found[each.line_id] = Behind(by_id[each.line_id], meter, each.charge.unit, _adds(meter))
        behind = found[each.line_id]
        names = (*need_of(each.charge).dimensions, *meter.group_by) if behind.adds else ()
        behind.dimensions = tuple(dict.fromkeys([*behind.dimensions, *names]))[:MOST_DIMENSIONS]
    told: set[int] = set()
    if known is not None and asked:
        told = told_after(known, [(place, each.claims, each.period) for place, each in enumerate(asked)])
    groups: dict[tuple[int | None, str, tuple[str, ...], bool], list[Stretch]] = defaultdict(list)
    for place, each in enumerate(asked):
        dimensions = found[each.line_id].dimensions
        groups[each.charge.meter_id, each.charge.narrowed_by, dimensions, place in told].append(each)
    for (meter_id, narrowed_by, dimensions, later), group in groups.items():
        meter = meters[meter_id]
        _count(meter.as_known(known) if later and known else meter, narrowed_by, dimensions, group, found)
    for behind in found.values():
        behind.rows.sort(key=lambda row: (row.day, [(value is not None, value or "") for value in row.values]))
    return found


def stretches(line: InvoiceLine, known: KnownTerms | None) -> list[Stretch]:
    """The stretches of a line of a meter, each under one charge, as its terms have them."""
    if known is None or known.terms is None:
        return []
    service = Period(line.service_start, line.service_end)
    found = []
    for each in known.terms.stretches(usage=True):
        part = each.period.intersect(service) if each.stream == line.stream.key else None
        if part is not None and each.charge.meter_id is not None:
            found.append(Stretch(line.pk, each.charge, known.claims, part, known.contract.timezone))
    return found


def _count(
    meter: Meter, narrowed_by: str, dimensions: tuple[str, ...], group: Sequence[Stretch], found: dict[int, Behind]
) -> None:
    """Ask for the days of all stretches in one statement, and give each line its rows."""
    filters = read_filters(json.loads(narrowed_by, parse_float=Decimal), "narrowed_by") if narrowed_by else ()
    days = [(each, day) for each in group for day in split(each.period, "day", each.timezone)]
    requests = [Request(place, each.claims, day, timezone=each.timezone) for place, (each, day) in enumerate(days)]
    for place, values, quantity in counted(meter, filters, dimensions, requests):
        each, day = days[place]
        if quantity.events or quantity.value:
            found[each.line_id].rows.append(
                DayUse(local_date(day.start, each.timezone), values, quantity.value, quantity.events)
            )


def _adds(meter: Meter) -> bool:
    """Whether quantities of days add up to that of the period."""
    definition = meter.definition()
    carried = meter.recurring or meter.prorate or definition.rounding is not None
    return meter.aggregation not in NOT_ADDED and not carried
