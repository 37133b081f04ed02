"""Reading usage: the storage interface behind which a meter's quantities are computed (docs/architecture.md, Usage).

It knows subjects and instants, never customers or time zones of contracts: who claims a subject, and when, is resolved
by the caller (`queries.claims_of`). Whatever is committed counts, at once. One statement answers any number of
requests; all numbers are exact decimals. MonthDetached when events are needed of a month that lies in the archive: days
and hours that are counted already need none.
"""

import json
from collections.abc import Iterable, Sequence
from decimal import Decimal
from fractions import Fraction
from operator import itemgetter
from typing import Any

from billing.metering import names
from billing.metering.aggregations import Counted as Occurrence
from billing.metering.aggregations import Window, aggregate
from billing.metering.asking import BEGINNING, Quantity, Request
from billing.metering.counting import Question, claimed, events
from billing.metering.expressions import divides
from billing.metering.measuring import round_quantity
from billing.metering.meters.counting import dimension
from billing.metering.models import Meter
from billing.metering.months import queries as months
from billing.metering.parts import SETTLED, Parts, columns, finish
from billing.metering.segments import Segments
from billing.periods import Period


def quantities(meter: Meter, requests: Sequence[Request]) -> dict[int, Quantity]:
    """The meter's quantity for each request, by key: one statement however many requests (R2.1).

    No events give 0. `unique_count` counts a value once per request, over all its subjects. ValueError when two
    requests carry the same key.
    """
    answers = {request.key: Quantity() for request in requests}
    answers |= {key: quantity for key, _, quantity in breakdown(meter, requests, [])}
    return answers


def breakdown(
    meter: Meter, requests: Sequence[Request], dimensions: Sequence[str]
) -> list[tuple[int, tuple[str | None, ...], Quantity]]:
    """Key, values of these properties (as text; None where an event has none) and quantity, in order of both.

    Without dimensions, a quantity for each request that has events. Quick where the meter groups by the dimensions;
    others are read from the events.
    """
    if len({request.key for request in requests}) != len(requests):
        raise ValueError("Two requests carry the same key: give each its own.")
    type_id = names.types.known([meter.event_type]).get(meter.event_type)
    subjects = names.subjects.known({subject for request in requests for subject, _ in request.claims})
    if type_id is None or not subjects:
        return []
    asked = _Asked(meter, type_id, requests, subjects, dimensions)
    rows = asked.prorated() if meter.prorate else asked.merged()
    if not dimensions:
        return sorted(rows, key=itemgetter(0))
    return sorted(rows, key=lambda each: (each[0], [(value is not None, value or "") for value in each[1]]))


def values(
    meter: Meter, requests: Sequence[Request], dimensions: Sequence[str]
) -> list[tuple[int, tuple[str | None, ...], Decimal]]:
    """Key, values of these properties, and what the meter reads from the event: one for each that counts, in order.

    The order is that of the keys, then of time and arrival (R2.1); a count reads 1 from each. Only events within a
    request's period, for a meter that recurs too. One statement. ValueError for distinct values, which are no numbers.
    """
    if meter.aggregation == "unique_count":
        raise ValueError(f"{meter} counts distinct values, which cannot be rated one by one.")
    type_id = names.types.known([meter.event_type]).get(meter.event_type)
    subjects = names.subjects.known({subject for request in requests for subject, _ in request.claims})
    segments = Segments()
    for place, request in enumerate(requests):
        for subject, claim in request.claims:
            if subject in subjects and (within := claim.intersect(request.period)):
                segments.add(place, subjects[subject], within)
    if type_id is None or not segments.whole.keys:
        return []
    read = events(meter, claimed(segments.whole, type_id, "true"), [dimension(path) for path in dimensions])
    columns = "".join(f", x{place}" for place in range(len(dimensions)))
    statement = f"SELECT key, value{columns} FROM ({read.sql}) ev WHERE valid ORDER BY key, ts, batch, n"
    rows = months.read(statement, read.values, segments.whole.periods())
    return [(requests[place].key, tuple(more), Decimal(1) if value is None else value) for place, value, *more in rows]


class _Asked:
    """Requests to one meter, cut into stretches; a stretch's key is twice its request's place, plus one for what a
    recurring weighted sum has before the period (R2.4)."""

    def __init__(
        self, meter: Meter, type_id: int, requests: Sequence[Request], subjects: dict[str, int],
        dimensions: Sequence[str],
    ) -> None:  # fmt: skip
        self.meter, self.type_id, self.requests, self.names = meter, type_id, requests, dimensions
        self.definition = meter.definition()
        self.ratios = self.definition.value is not None and divides(self.definition.value)
        self.dimensions = [dimension(path) for path in dimensions]
        self.segments = Segments(meter.settled if self._by_rollup and not dimensions else None)
        for place, request in enumerate(requests):
            for subject, period in request.claims:
                if subject in subjects:
                    self._cut(place, subjects[subject], period, request.period)

    def _cut(self, place: int, subject: int, claim: Period, period: Period) -> None:
        """The part of a claim that counts: within the period and, for a recurring meter, since ever."""
        if self.meter.recurring and not self._apart:
            period = Period(BEGINNING, period.end)
        elif self.meter.recurring and (before := claim.intersect(Period(BEGINNING, period.start))):
            self.segments.add(2 * place + 1, subject, before)
        if within := claim.intersect(period):
            self.segments.add(2 * place, subject, within)

    @property
    def _by_rollup(self) -> bool:
        """Whether the meter's rollup can answer."""
        return self.meter.rollup_ready and set(self.names) <= set(self.meter.group_by)

    @property
    def _apart(self) -> bool:
        """Whether what happened before the period weighs in another way than what happens in it."""
        return self.meter.aggregation == "weighted_sum"

    def merged(self) -> Iterable[tuple[int, tuple[str | None, ...], Quantity]]:
        """Answers from parts, which one statement puts together."""
        if not self.segments.whole.keys:
            return
        group_by = list(self.meter.group_by)
        places = [group_by.index(name) for name in self.names] if self._by_rollup else None
        question = Question(self.meter, self.type_id, self.segments, self.dimensions)
        distinct = ["distinct"] if self.meter.aggregation == "unique_count" else []
        titles = [column.name for column in columns(self.meter.aggregation)] + distinct
        found: dict[tuple[int, tuple[str | None, ...]], dict[int, Parts]] = {}
        for key, *row in question.ask(places):
            values = tuple(row[: len(self.names)])
            place, before = divmod(key, 2)
            found.setdefault((place, values), {})[before] = Parts.of(titles, tuple(row[len(self.names) :]))
        for (place, values), parts in found.items():
            yield self.requests[place].key, values, self._finished(place, parts)

    def _finished(self, place: int, parts: dict[int, Parts]) -> Quantity:
        """The quantity of a request's parts, within the period and before it."""
        request, within, before = self.requests[place], parts.get(0, Parts()), parts.get(1, Parts())
        value = finish(
            self.meter.aggregation, within, before=before, period=request.period,
            full=request.full or request.period, rounding=self.definition.rounding,
            ratios=self.ratios,
        )  # fmt: skip
        return Quantity(value, within.n + before.n, within.invalid + before.invalid)

    def prorated(self) -> Iterable[tuple[int, tuple[str | None, ...], Quantity]]:
        """Answers from the events one by one, whose days of presence weigh (R2.4)."""
        if not self.segments.whole.keys:
            return
        read = events(self.meter, claimed(self.segments.whole, self.type_id, "true"), self.dimensions)
        statement = f"SELECT * FROM ({read.sql}) ev ORDER BY ts, batch, n"
        rows = months.read(statement, read.values, self.segments.whole.periods())
        groups: dict[tuple[int, tuple[str | None, ...]], list[tuple[Any, ...]]] = {}
        for row in rows:
            groups.setdefault((row[0] // 2, tuple(row[8:])), []).append(row)
        for (place, values), group in groups.items():
            yield self.requests[place].key, values, self._weighed(self.requests[place], group)

    def _weighed(self, request: Request, rows: Sequence[tuple[Any, ...]]) -> Quantity:
        """The quantity of events in their order, by the reference's own rule."""
        window = Window.of(request.period, request.full or request.period, request.timezone)
        counting = [row for row in rows if row[7]]
        unique = self.meter.aggregation == "unique_count"
        read = [
            Occurrence(ts, place, key=("", json.dumps(value, default=str)) if unique else None,
                       number=None if unique else Fraction(value), adds=adds)
            for place, (_, _, ts, _, _, value, adds, *_) in enumerate(counting)
        ]  # fmt: skip
        number = aggregate(self.definition, read, window)
        if self.ratios:
            number = Fraction(round_quantity(number, SETTLED))
        return Quantity(round_quantity(number, self.definition.rounding), len(counting), len(rows) - len(counting))
