"""Events that meters cannot read, by reason (R1.3): found by the days on which rollups saw such events."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from django.db import connection

from billing.metering.explorer.judging import NOT_VOIDED, judged
from billing.metering.models import Meter
from billing.metering.months.models import EventMonth

LOOKED_AT: Final = 50_000
"""Events that are read to tell the reasons why a meter cannot read some of them."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Events that a meter cannot read, for one reason (empty: nobody looked), and the latest of them."""

    meter: Meter
    reason: str
    events: int
    first: datetime | None
    last: datetime | None
    source: str = ""
    event_id: str = ""


def unreadable(since: date) -> list[Unreadable]:
    """Events since a day (UTC) that meters cannot read, by meter and reason, claimed or not, most first (R1.3).

    The days of subjects that have such events are known from rollups; reasons are told by reading these days, the
    latest first, as far as the bound goes. What lies beyond it is counted without a reason.
    """
    meters = [meter for meter in Meter.objects.current() if meter.aggregation != Meter.Aggregation.COUNT]
    slices = _slices(meters, since)
    read: list[tuple[Meter, list[Slice]]] = []
    found: list[Unreadable] = []
    away = set(EventMonth.objects.filter(state="detached").values_list("month", flat=True))
    for meter in meters:
        own = [each for each in slices if each[0] == meter.pk]
        kept, beyond = _bounded([each for each in own if each[2].replace(day=1) not in away])
        beyond += sum(each[3] for each in own if each[2].replace(day=1) in away)
        if kept:
            read.append((meter, kept))
        if beyond:
            found.append(Unreadable(meter, "", beyond, None, None))
    found += _reasons(read, since)
    return sorted(found, key=lambda each: (-each.events, each.meter.code, each.reason))


Slice = tuple[int, int, date, int, int]
"""Meter, subject, day (UTC), how many events are invalid, and how many a reader of the day passes."""


def _slices(meters: Sequence[Meter], since: date) -> list[Slice]:
    """Days of subjects on which a meter has events that it cannot read, the latest first: of rollups and pending.

    A meter whose rollup is being built has its events read.
    """
    ready = {meter.rollup: meter.pk for meter in meters if meter.rollup_ready}
    parts = [
        """SELECT m.meter, d.subject_id, (d.bucket AT TIME ZONE 'UTC')::date, sum(d.invalid), sum(d.n + d.invalid)
                FROM metering_day d JOIN unnest(%s::bigint[], %s::int[]) AS m(rollup, meter) ON m.rollup = d.rollup
                WHERE d.rollup = ANY(%s::bigint[]) AND d.invalid > 0 AND d.bucket >= %s GROUP BY 1, 2, 3"""
    ]
    start = f"{since}T00:00:00+00:00"
    values: list[Any] = [list(ready), list(ready.values()), list(ready), start]
    with connection.cursor() as cursor:
        cursor.execute("SELECT min(batch), max(batch) FROM metering_pending")
        low, high = cursor.fetchone()
        for meter in meters:
            if meter.rollup_ready and low is None:
                continue
            it = judged(meter)
            pending = "e.batch >= %s AND e.batch <= %s AND e.batch IN (SELECT batch FROM metering_pending)"
            where = pending if meter.rollup_ready else "true"
            parts.append(f"""
                SELECT {int(meter.pk)}, e.subject_id, (e.ts AT TIME ZONE 'UTC')::date, count(*), count(*)
                FROM metering_event e {it.lateral.sql}
                WHERE e.type_id = (SELECT id FROM metering_type WHERE name = %s) AND e.ts >= %s {it.filters.sql}
                  AND NOT ({it.valid}) AND {NOT_VOIDED} AND {where} GROUP BY 1, 2, 3""")
            values += [*it.lateral.values, meter.event_type, start, *it.filters.values]
            values += [low, high] if meter.rollup_ready else []
        cursor.execute(f"""SELECT meter, subject_id, day, sum(invalid)::bigint, sum(passed)::bigint
                           FROM ({" UNION ALL ".join(parts)}) AS found(meter, subject_id, day, invalid, passed)
                           GROUP BY 1, 2, 3 ORDER BY 3 DESC, 2""", values)  # fmt: skip
        return list(cursor.fetchall())


def _reasons(read: Sequence[tuple[Meter, Sequence[Slice]]], since: date) -> list[Unreadable]:
    """What is wrong with the events of these days, by meter: one statement, a part for each meter."""
    if not read:
        return []
    parts, values = [], []
    for meter, slices in read:
        it = judged(meter)
        parts.append(f"""
            SELECT {int(meter.pk)}, {it.reason.sql}, e.ts, e.source_id, e.id
            FROM unnest(%s::int[], %s::date[]) AS r(subject_id, day)
            JOIN metering_event e ON e.subject_id = r.subject_id
                 AND e.type_id = (SELECT id FROM metering_type WHERE name = %s) AND e.ts >= %s
                 AND e.ts >= r.day::timestamp AT TIME ZONE 'UTC' AND e.ts < (r.day + 1)::timestamp AT TIME ZONE 'UTC'
            {it.lateral.sql} WHERE NOT ({it.valid}) AND {NOT_VOIDED} {it.filters.sql}""")
        subjects, days = [each[1] for each in slices], [each[2] for each in slices]
        values += [*it.reason.values, subjects, days, meter.event_type, f"{since}T00:00:00+00:00"]
        values += [*it.lateral.values, *it.filters.values]
    statement = f"""
        WITH found(meter, reason, ts, source_id, id) AS MATERIALIZED ({" UNION ALL ".join(parts)})
        SELECT f.meter, f.reason, f.n, f.first_ts, f.last_ts, s.name, f.last_id
        FROM (SELECT meter, reason, count(*) AS n, min(ts) AS first_ts, max(ts) AS last_ts,
                     (array_agg(source_id ORDER BY ts DESC, id))[1] AS last_source,
                     (array_agg(id ORDER BY ts DESC, id))[1] AS last_id FROM found GROUP BY 1, 2) f
        JOIN metering_source s ON s.id = f.last_source
    """
    by_id = {meter.pk: meter for meter, _ in read}
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return [Unreadable(by_id[pk], *row) for pk, *row in cursor.fetchall()]


def _bounded(slices: Sequence[Slice]) -> tuple[list[Slice], int]:
    """The latest slices that hold no more events than may be read, and how many invalid ones the others have."""
    kept: list[Slice] = []
    passed = 0
    for each in slices:
        passed += each[4]
        if kept and passed > LOOKED_AT:
            break
        kept.append(each)
    return kept, sum(each[3] for each in slices[len(kept) :])
