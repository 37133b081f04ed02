"""The statements that put events into hours and days, and count hours anew after a correction.

All of them run under the lock of `services.step`, one after the other, so that no two change a row at once.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from django.db import connection

from billing.metering.counting import NOT_VOIDED, VALUE_DIGEST, Source, dims_array, events
from billing.metering.meters.counting import dimension
from billing.metering.meters.fragments import Fragment
from billing.metering.models import Meter
from billing.metering.parts import DAY, DEKAD, HOUR, NO_DIMENSIONS, columns
from billing.metering.segments import dekad_of

Hours = tuple[list[int], list[str]]
"""Hours of subjects to count anew, as columns: the subject, and the hour's start."""

# The block ranges of the batches are found by their bounds alone: "+ 0" keeps lists and types from other indexes.
BATCHES: Final = "(e.batch + 0) = ANY(%s::bigint[]) AND e.batch >= %s AND e.batch <= %s AND e.ts >= %s AND e.ts < %s"
_HOURS: Final = "unnest(%s::int[], %s::timestamptz[]) AS r(subject_id, hour)"
_SETTLED: Final = "e.batch NOT IN (SELECT batch FROM metering_pending)"
_LATER: Final = "(excluded.at, excluded.at_batch, excluded.at_n) > (t.at, t.at_batch, t.at_n)"
_LAST: Final = "(array_agg({0} ORDER BY at DESC, at_batch DESC, at_n DESC))[1]"


def of_batches(batches: Sequence[int], bounds: tuple[str, str], type_id: int) -> Source:
    """The events of a type in batches, whose times lie within bounds."""
    values = (batches_literal(batches), min(batches), max(batches), *bounds, type_id)
    table = Fragment(f"(SELECT * FROM metering_event e WHERE {BATCHES} AND (e.type_id + 0) = %s) e", values)
    return Source(table, "true", key="0", stands=_stand(batches))


def _stand(batches: Sequence[int]) -> str:
    """The condition that events of new batches were not taken back already: few are, so that a list of them is held."""
    few = f"SELECT batch, n FROM metering_voided WHERE batch BETWEEN {int(min(batches))} AND {int(max(batches))}"
    return f"(e.batch, e.n) NOT IN ({few})"


def of_hours(hours: Hours, type_id: int) -> Source:
    """The events of a type in hours of subjects, but for what is pending."""
    sql = f"""{_HOURS}
        JOIN metering_event e ON e.subject_id = r.subject_id AND e.type_id = %s
             AND e.ts >= r.hour AND e.ts < r.hour + interval '1 hour'"""
    return Source(Fragment(sql, (*literals(hours), type_id)), _SETTLED, key="0")


def of_everything(type_id: int) -> Source:
    """All events of a type, but for what is pending."""
    return Source(Fragment("metering_event e"), f"e.type_id = {int(type_id)} AND {_SETTLED}", key="0")


def _kinds(meter: Meter) -> list[tuple[str, str]]:
    """What days are kept by, as sign of the rollup's number and digest: dimensions, and negative all of them together.

    The total of a day answers whoever asks for no dimension from one row, however many values a dimension has.
    """
    return [("", "p.dims"), ("-", NO_DIMENSIONS)] if meter.group_by else [("", "p.dims")]


def add(meter: Meter, rollup: int, source: Source, position: int) -> None:
    """Count the source's events into the hours and days of a rollup."""
    read = events(meter, source, [dims_array([dimension(path) for path in meter.group_by])])
    unique = meter.aggregation == "unique_count"
    statements = [*([_LABELS] if meter.group_by else []), *_counts(meter), *(_values(meter) if unique else [])]
    *before, last = statements
    ctes = "".join(f", w{place} AS ({statement})" for place, statement in enumerate(before))
    hours = ", ".join(f"{c.merged} AS {c.name}" for c in columns(meter.aggregation))
    singles = ", ".join(f"{c.of_event} AS {c.name}" for c in columns(meter.aggregation))
    sql = f"""
        WITH ev AS MATERIALIZED ({read.sql}),
        labels AS MATERIALIZED (SELECT x0 AS values, {_DIGEST} AS dims FROM ev GROUP BY x0),
        one AS (SELECT ev.subject_id, {HOUR.format("ev.ts")} AS bucket, ev.x0, {singles} FROM ev),
        met AS (SELECT p.subject_id, p.bucket, p.x0, {hours} FROM one p GROUP BY 1, 2, 3),
        hours AS MATERIALIZED ({_labelled("met", meter)}),
        own AS (SELECT {int(rollup)}::bigint AS rollup, {int(position)}::bigint AS position)
        {_value_ctes(meter) if unique else ""}{ctes}
        {last}"""
    _run(sql, read.values)


def _labelled(rows: str, meter: Meter) -> str:
    """Rows with the digest of their dimensions: digests are dear, so there is one for each combination."""
    if not meter.group_by:
        return f"SELECT r.*, {NO_DIMENSIONS} AS dims FROM {rows} r"
    return f"SELECT r.*, l.dims FROM {rows} r JOIN labels l ON l.values = r.x0"


_DIGEST: Final = "encode(substr(sha256(convert_to(to_jsonb(x0)::text, 'UTF8')), 1, 16), 'hex')::uuid"
_LABELS: Final = """
    INSERT INTO metering_dimensions (digest, values) SELECT dims, values FROM labels ORDER BY dims
    ON CONFLICT DO NOTHING"""
"""What each digest of dimensions stands for."""


def _counts(meter: Meter) -> list[str]:
    """Hours, and days made of them, joined to what stands; in order of the key, which keeps pages together."""
    found = columns(meter.aggregation)
    names = ", ".join(column.name for column in found)
    taken = ", ".join(f"s.{column.name}" for column in found)
    joined = ", ".join(f"{column.name} = {column.joined}" for column in found)
    merged = ", ".join(f"{column.merged} AS {column.name}" for column in found)
    by_day = f"SELECT p.subject_id, {DAY.format('p.bucket')} AS bucket, {{}} AS dims, {merged} FROM hours p"
    days = [("day", sign, f"{by_day.format(dims)} GROUP BY 1, 2, 3") for sign, dims in _kinds(meter)]
    if meter.settled:  # few events are so late
        sign, dims = _kinds(meter)[-1]
        by_dekad = f"SELECT p.subject_id, {DEKAD.format('p.bucket')} AS bucket, {dims} AS dims, {merged} FROM hours p"
        late = f"WHERE p.bucket < '{meter.settled.isoformat()}'"
        days.append(("dekad", sign, f"{by_dekad} {late} GROUP BY 1, 2, 3"))
    return [
        f"""INSERT INTO metering_{table} AS t (rollup, subject_id, bucket, dims, {names}, position)
            SELECT {sign}own.rollup, s.subject_id, s.bucket, s.dims, {taken}, own.position
            FROM ({rows}) s, own ORDER BY s.subject_id, s.bucket, s.dims
            ON CONFLICT (rollup, subject_id, bucket, dims) DO UPDATE SET {joined}, position = excluded.position"""
        for table, sign, rows in (("hour", "", "SELECT * FROM hours"), *days)
    ]


def _value_ctes(meter: Meter) -> str:
    """The last thing that happened to each value, by hour."""
    last = ", ".join(f"{_LAST.format(name)} AS {name}" for name in ("adds", "at", "at_batch", "at_n"))
    return f""", single AS (
            SELECT ev.subject_id, {HOUR.format("ev.ts")} AS bucket, ev.x0, {VALUE_DIGEST} AS value, ev.adds,
                   ev.ts AS at, ev.batch AS at_batch, ev.n AS at_n
            FROM ev WHERE ev.valid),
        met_values AS (SELECT subject_id, bucket, x0, value, {last} FROM single GROUP BY 1, 2, 3, 4),
        labelled AS ({_labelled("met_values", meter)}),
        vals AS MATERIALIZED (SELECT subject_id, bucket, dims, value, adds, at, at_batch, at_n FROM labelled)"""


def _values(meter: Meter) -> list[str]:
    """Distinct values by hour, and by day made of them."""
    last = ", ".join(f"{_LAST.format(name)} AS {name}" for name in ("adds", "at", "at_batch", "at_n"))
    by_day = f"SELECT subject_id, {DAY.format('bucket')} AS bucket, {{}} AS dims, value, {last} FROM vals p"
    days = [(sign, f"{by_day.format(dims)} GROUP BY 1, 2, 3, 4") for sign, dims in _kinds(meter)]
    return [
        f"""INSERT INTO metering_{table}_value AS t
                (rollup, subject_id, bucket, dims, value, adds, at, at_batch, at_n)
            SELECT {sign}own.rollup, s.* FROM ({rows}) s, own ORDER BY s.subject_id, s.bucket, s.dims, s.value
            ON CONFLICT (rollup, subject_id, bucket, dims, value) DO UPDATE
                SET adds = excluded.adds, at = excluded.at, at_batch = excluded.at_batch, at_n = excluded.at_n
                WHERE {_LATER}"""
        for table, sign, rows in (("hour", "", "SELECT * FROM vals"), *(("day", *each) for each in days))
    ]


def recount(meter: Meter, rollup: int, hours: Hours, type_id: int, position: int) -> None:
    """Count hours anew from their events, and their days from the hours (R2.3)."""
    days = _days(hours)
    for suffix in ("", "_value"):
        _delete(f"metering_hour{suffix}", rollup, hours)
        _delete(f"metering_day{suffix}", rollup, days)
    add(meter, rollup, of_hours(hours, type_id), position)
    for suffix in ("", "_value"):
        _delete(f"metering_day{suffix}", rollup, days)
    for sign, dims in _kinds(meter):
        _days_of_hours(meter, rollup, days, sign, dims)
    if meter.settled and (dekads := _dekads(hours, meter.settled))[0]:
        _delete("metering_dekad", rollup, dekads)
        source = f"""CROSS JOIN unnest(%s::int[], %s::timestamptz[]) AS r(subject_id, dekad)
            JOIN metering_day p ON p.subject_id = r.subject_id AND {DEKAD.format("p.bucket")} = r.dekad
                 AND p.bucket >= r.dekad AND p.bucket < r.dekad + interval '264 hours'"""
        _dekads_of_days(meter, rollup, source, literals(dekads))


def settle(meter: Meter, rollup: int, start: datetime | None, end: datetime) -> None:
    """Make the dekads of [start, end) from their days, with all dimensions together; start None is the beginning."""
    source = "JOIN metering_day p ON p.bucket >= %s AND p.bucket < %s"
    _dekads_of_days(meter, rollup, source, (start or "-infinity", end))


def _dekads_of_days(meter: Meter, rollup: int, source: str, values: Sequence[Any]) -> None:
    """Make dekads of the days that stand in them; `source` joins `p`, the days, by whatever says which."""
    found = columns(meter.aggregation)
    names = ", ".join(column.name for column in found)
    merged = ", ".join(column.merged for column in found)
    total = -rollup if meter.group_by else rollup
    _run(
        f"""INSERT INTO metering_dekad (rollup, subject_id, bucket, dims, {names}, position)
            SELECT p.rollup, p.subject_id, {DEKAD.format("p.bucket")}, p.dims, {merged}, max(p.position)
            FROM (SELECT %s::bigint AS rollup) own {source} AND p.rollup = own.rollup
            GROUP BY 1, 2, 3, 4 ORDER BY 2, 3""",
        (total, *values),
    )


def _days_of_hours(meter: Meter, rollup: int, days: Hours, sign: str, dims: str) -> None:
    """Make days of the hours that stand in them."""
    source = """FROM unnest(%s::int[], %s::timestamptz[]) AS r(subject_id, day)
                JOIN metering_hour{} p ON p.rollup = %s AND p.subject_id = r.subject_id
                     AND p.bucket >= r.day AND p.bucket < r.day + interval '1 day'"""
    found = columns(meter.aggregation)
    names = ", ".join(column.name for column in found)
    merged = ", ".join(column.merged for column in found)
    _run(
        f"""INSERT INTO metering_day (rollup, subject_id, bucket, dims, {names}, position)
            SELECT {sign}p.rollup, p.subject_id, r.day, {dims}, {merged}, max(p.position) {source.format("")}
            GROUP BY 1, 2, 3, 4""",
        (*literals(days), rollup),
    )
    last = ", ".join(_LAST.format(name) for name in ("adds", "at", "at_batch", "at_n"))
    _run(
        f"""INSERT INTO metering_day_value (rollup, subject_id, bucket, dims, value, adds, at, at_batch, at_n)
            SELECT {sign}p.rollup, p.subject_id, r.day, {dims}, p.value, {last} {source.format("_value")}
            GROUP BY 1, 2, 3, 4, 5""",
        (*literals(days), rollup),
    )


def _delete(table: str, rollup: int, buckets: Hours) -> None:
    _run(
        f"""DELETE FROM {table} t USING unnest(%s::int[], %s::timestamptz[]) AS r(subject_id, bucket)
            WHERE t.rollup IN (%s, %s) AND t.subject_id = r.subject_id AND t.bucket = r.bucket""",
        (*literals(buckets), rollup, -rollup),
    )


def _days(hours: Hours) -> Hours:
    """The days (UTC) that hold the hours, each once."""
    pairs = sorted({(subject, f"{hour[:10]}T00:00:00+00:00") for subject, hour in zip(*hours, strict=True)})
    return [subject for subject, _ in pairs], [day for _, day in pairs]


def _dekads(hours: Hours, settled: datetime) -> Hours:
    """The dekads (UTC) before `settled` that hold the hours, each once."""
    starts = ((subject, dekad_of(datetime.fromisoformat(hour))) for subject, hour in zip(*hours, strict=True))
    pairs = sorted({pair for pair in starts if pair[1] < settled})
    return [subject for subject, _ in pairs], [dekad.isoformat() for _, dekad in pairs]


def add_activity(batches: Sequence[int], bounds: tuple[str, str], position: int) -> None:
    """Count the events of batches into the days of subjects and types."""
    _run(
        f"""INSERT INTO metering_activity AS t (subject_id, type_id, day, n, first_ts, last_ts, position)
            SELECT e.subject_id, e.type_id, (e.ts AT TIME ZONE 'UTC')::date, count(*), min(e.ts), max(e.ts), %s
            FROM metering_event e WHERE {BATCHES} AND {_stand(batches)} GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
            ON CONFLICT (subject_id, type_id, day) DO UPDATE
                SET n = t.n + excluded.n, first_ts = least(t.first_ts, excluded.first_ts),
                    last_ts = greatest(t.last_ts, excluded.last_ts), position = excluded.position""",
        (position, batches_literal(batches), min(batches), max(batches), *bounds),
    )


def recount_activity(hours: Hours, type_id: int, position: int) -> None:
    """Count days of subjects anew after a correction; a day of which nothing is left stays, with its position."""
    days = _days(hours)
    _run(
        f"""INSERT INTO metering_activity AS t (subject_id, type_id, day, n, first_ts, last_ts, position)
            SELECT r.subject_id, %s, (r.day AT TIME ZONE 'UTC')::date, count(e.n), coalesce(min(e.ts), r.day),
                   coalesce(max(e.ts), r.day), %s
            FROM unnest(%s::int[], %s::timestamptz[]) AS r(subject_id, day)
            LEFT JOIN metering_event e ON e.subject_id = r.subject_id AND e.type_id = %s AND e.ts >= r.day
                 AND e.ts < r.day + interval '1 day' AND {_SETTLED} AND {NOT_VOIDED}
            GROUP BY r.subject_id, r.day
            ON CONFLICT (subject_id, type_id, day) DO UPDATE SET n = excluded.n, first_ts = excluded.first_ts,
                last_ts = excluded.last_ts, position = excluded.position""",
        (type_id, position, *literals(days), type_id),
    )


def literals(hours: Hours) -> tuple[str, str]:
    """Two columns as array literals."""
    return "{" + ",".join(map(str, hours[0])) + "}", "{" + ",".join(hours[1]) + "}"


def batches_literal(batches: Sequence[int]) -> str:
    """Numbers of batches as an array literal."""
    return "{" + ",".join(map(str, batches)) + "}"


def _run(sql: str, values: Sequence[Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
