"""Reading events: the storage interface behind which a meter's quantities are computed (docs/architecture.md, Usage).

It knows subjects and instants, never customers or time zones of contracts: who claims a subject, and when, is resolved
by the caller (`queries.claims_of`). Whatever is committed counts, at once. One statement answers any number of
requests; all numbers are exact decimals. MonthDetached when the events of a month that it needs lie in the archive.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

from billing.metering.meters import Counted, Fragment, counted, dimension, reason
from billing.metering.models import Meter
from billing.metering.months import queries as months
from billing.periods import Period

BEGINNING: Final = datetime(1, 1, 1, tzinfo=UTC)
"""The start of a claim since ever."""

Claim = tuple[str, Period]
"""A subject, as events carry it, and the time in which it is claimed."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked: the events of these claims within the period. `key` names the answer.

    Claims may reach beyond the period; they are cut to it. Claims on the same subject must not overlap, else its
    events count twice (the database keeps customers' claims apart).
    """

    key: int
    claims: tuple[Claim, ...]
    period: Period
    full: Period | None = None
    timezone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Quantity:
    """What a meter counted: its value, from how many events, and how many were invalid for it (R1.3)."""

    value: Decimal = Decimal(0)
    events: int = 0
    invalid: int = 0


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as it is kept; `value` is what a meter reads from it, None for a count or where it is invalid."""

    source: str
    id: str
    subject: str
    time: datetime
    data: dict[str, Any]
    recorded_at: datetime
    value: Decimal | str | None
    problem: str


def quantities(meter: Meter, requests: Sequence[Request]) -> dict[int, Quantity]:
    """The meter's quantity for each request, by key: one statement however many requests (R2.1).

    No events give 0. `unique_count` counts a value once per request, over all its subjects. ValueError when two
    requests carry the same key.
    """
    if len({request.key for request in requests}) != len(requests):
        raise ValueError("Two requests carry the same key: give each its own.")
    answers = {request.key: Quantity() for request in requests}
    for key, *numbers in _aggregate(meter, requests, []):
        answers[key] = Quantity(*numbers)
    return answers


def breakdown(
    meter: Meter, requests: Sequence[Request], dimensions: Sequence[str]
) -> list[tuple[int, tuple[str | None, ...], Quantity]]:
    """Key, values of these properties (as text; None where an event has none) and quantity, in order of both."""
    rows = _aggregate(meter, requests, [dimension(path) for path in dimensions])
    found = [(row[0], tuple(row[1 : 1 + len(dimensions)]), Quantity(*row[1 + len(dimensions) :])) for row in rows]
    return sorted(found, key=lambda each: (each[0], [(value is not None, value or "") for value in each[1]]))


def by_day(meter: Meter, request: Request, timezone: str) -> list[tuple[date, Quantity]]:
    """The quantity of each local day that has events, in order; only `count` and `sum` add up to the whole (R2.3)."""
    rows = _aggregate(meter, [request], [Fragment("(e.ts AT TIME ZONE %s)::date", (timezone,))])
    return sorted((row[1], Quantity(*row[2:])) for row in rows)


def events_of(meter: Meter, request: Request, *, limit: int = 100) -> list[StoredEvent]:
    """The latest events that the meter sees in the request, newest first, at most `limit`."""
    count, problem = counted(meter), reason(meter)
    statement = f"""
        SELECT source.name, e.id, s.name, e.ts, e.data, b.recorded_at, c.value, {problem.sql}
        FROM {{events}}
        JOIN metering_source source ON source.id = e.source_id JOIN metering_batch b ON b.no = e.batch
        ORDER BY e.ts DESC, e.batch DESC, e.n DESC LIMIT {int(limit)}
    """
    rows = _query(statement, problem.values, count, meter, _pieces([request]))
    return [
        StoredEvent(source, id_, subject, ts, _json(data), recorded, value, why or "")
        for source, id_, subject, ts, data, recorded, value, why in rows
    ]


def invalid(meter: Meter, request: Request | None, period: Period) -> list[tuple[str, int, datetime, datetime]]:
    """Events that the meter cannot read, by reason: how many, the first and the last; most first.

    Of the request's claims, or of every subject in `period` when there is none.
    """
    count, problem = counted(meter), reason(meter)
    statement = f"""
        SELECT {problem.sql}, count(*), min(e.ts), max(e.ts)
        FROM {{events}} WHERE NOT ({count.valid}) GROUP BY 1 ORDER BY 2 DESC, 1
    """
    return _query(statement, problem.values, count, meter, _pieces([request]) if request else period)


# The pieces of time of each subject, joined to the events by the look-up index. The last two bounds are those of all
# pieces together: constants, by which the planner leaves out the months that none of them touches.
_CLAIMED: Final = """
    unnest(%s::bigint[], %s::text[], %s::timestamptz[], %s::timestamptz[]) AS r(key, subject, lo, hi)
    JOIN metering_subject s ON s.name = r.subject
    JOIN metering_event e ON e.subject_id = s.id AND e.ts >= r.lo AND e.ts < r.hi AND e.ts >= %s AND e.ts < %s
"""
_ANYBODYS: Final = """
    metering_event e JOIN metering_subject s ON s.id = e.subject_id AND e.ts >= %s AND e.ts < %s
"""
_AGGREGATES: Final = {
    Meter.Aggregation.COUNT: "count(*)",
    Meter.Aggregation.SUM: "coalesce(sum(c.value), 0)",
    Meter.Aggregation.MAX: "coalesce(max(c.value), 0)",
    Meter.Aggregation.UNIQUE_COUNT: "count(DISTINCT c.value)",
}

_Pieces = tuple[list[int], list[str], list[str], list[str]]


def _aggregate(meter: Meter, requests: Sequence[Request], groups: Sequence[Fragment]) -> list[tuple[Any, ...]]:
    """Key, groups, value, events and invalid events of every request and group that has events."""
    count = counted(meter)
    columns = "".join(f", {group.sql}" for group in groups)
    ordinals = ", ".join(str(place) for place in range(1, 2 + len(groups)))
    aggregate = _AGGREGATES[Meter.Aggregation(meter.aggregation)]
    statement = f"""
        SELECT r.key{columns}, ({aggregate})::numeric,
               count(*) FILTER (WHERE {count.valid}), count(*) FILTER (WHERE NOT ({count.valid}))
        FROM {{events}} GROUP BY {ordinals}
    """
    values = tuple(value for group in groups for value in group.values)
    return _query(statement, values, count, meter, _pieces(requests))


def _query(
    statement: str, values: tuple[Any, ...], count: Counted, meter: Meter, where: _Pieces | Period
) -> list[tuple[Any, ...]]:
    """Run a statement over the meter's events `e`, their values `c.value` and, where claimed, the requests `r`."""
    bounds: list[Any]
    periods: Iterable[months.Bounds]
    if isinstance(where, Period):
        table, bounds = _ANYBODYS, [*months.bounds(where)]
        periods = [months.bounds(where)]
    elif where[0]:
        table, bounds = _CLAIMED, [*where, min(where[2]), max(where[3])]
        periods = zip(where[2], where[3], strict=True)
    else:
        return []
    events = f"""{table} AND e.type_id = (SELECT id FROM metering_type WHERE name = %s) {count.filters.sql}
                 CROSS JOIN LATERAL (SELECT {count.value.sql} AS value OFFSET 0) c"""
    given = [*values, *bounds, meter.event_type, *count.filters.values, *count.value.values]
    return months.read(statement.replace("{events}", events), given, periods)


def _pieces(requests: Sequence[Request]) -> _Pieces:
    """Keys, subjects and bounds of every claim within its request's period, as columns."""
    keys: list[int] = []
    subjects: list[str] = []
    starts: list[str] = []
    ends: list[str] = []
    for request in requests:
        for subject, claimed in request.claims:
            common = claimed.intersect(request.period)
            if common is None or common.is_empty:
                continue
            keys.append(request.key)
            subjects.append(subject)
            starts.append(common.start.isoformat())
            ends.append("infinity" if common.end is None else common.end.isoformat())
    return keys, subjects, starts, ends


def _json(data: Any) -> dict[str, Any]:
    """Event data with its numbers as exact decimals; Django hands JSON over as text."""
    return json.loads(data, parse_float=Decimal) if isinstance(data, str) else data  # type: ignore[no-any-return]
