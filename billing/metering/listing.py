"""Events one by one, as a meter sees them: the latest, and those that it cannot read."""

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

from billing.metering.asking import Request, StoredEvent
from billing.metering.counting import NOT_VOIDED
from billing.metering.meters.counting import Counted, counted, reason
from billing.metering.models import Meter
from billing.metering.months import queries as months


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


LONG: Final = 4000
"""Digits of a whole number up to which Python reads it; no meter counts any longer than 40."""

# The pieces of time of each subject, joined to the events by the look-up index. The last two bounds are those of all
# pieces together: constants, by which the planner leaves out the months that none of them touches.
_CLAIMED: Final = """
    unnest(%s::bigint[], %s::text[], %s::timestamptz[], %s::timestamptz[]) AS r(key, subject, lo, hi)
    JOIN metering_subject s ON s.name = r.subject
    JOIN metering_event e ON e.subject_id = s.id AND e.ts >= r.lo AND e.ts < r.hi AND e.ts >= %s AND e.ts < %s
"""
_Pieces = tuple[list[int], list[str], list[str], list[str]]


def _query(
    statement: str, values: tuple[Any, ...], count: Counted, meter: Meter, where: _Pieces
) -> list[tuple[Any, ...]]:
    """Run a statement over the meter's events `e`, their values `c.value` and, where claimed, the requests `r`."""
    if not where[0]:
        return []
    events = f"""{_CLAIMED} AND e.type_id = (SELECT id FROM metering_type WHERE name = %s) {count.filters.sql}
                 AND {NOT_VOIDED}
                 CROSS JOIN LATERAL (SELECT {count.value.sql} AS value, {count.adds.sql} AS adds OFFSET 0) c"""
    read = [*count.filters.values, *count.value.values, *count.adds.values]
    given = [*values, *where, min(where[2]), max(where[3]), meter.event_type, *read]
    return months.read(statement.replace("{events}", events), given, zip(where[2], where[3], strict=True))


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
    return json.loads(data, parse_float=Decimal, parse_int=_integer) if isinstance(data, str) else data  # type: ignore[no-any-return]


def _integer(text: str) -> int | Decimal:
    """A whole number of any length: beyond what Python reads as one, a decimal."""
    return int(text) if len(text) <= LONG else Decimal(text)
