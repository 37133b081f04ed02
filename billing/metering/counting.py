"""The statements that count: events as a meter reads them, put together with what rollups hold of them.

One statement is one snapshot, so that an answer holds every committed event once: as part of an hour or a day, or as
one that is still pending. A subject with a correction that no rollup holds yet is counted from its events alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from billing.metering.asking import Known
from billing.metering.bound import ask
from billing.metering.meters.counting import counted
from billing.metering.meters.fragments import Fragment
from billing.metering.models import Meter
from billing.metering.months import queries as months
from billing.metering.parts import NO_DIMENSIONS, PLACES, Column, columns
from billing.metering.segments import Columns, Segments

NOT_VOIDED: Final = "NOT EXISTS (SELECT 1 FROM metering_voided v WHERE v.batch = e.batch AND v.n = e.n)"
DIRTY: Final = """
    dirty AS MATERIALIZED (
        SELECT DISTINCT h.subject_id FROM metering_corrected_hour h JOIN metering_pending USING (batch)
        WHERE h.type_id = %s)"""
_CORRECTED: Final = """EXISTS (
    SELECT 1 FROM metering_corrected_hour h JOIN metering_pending USING (batch)
    WHERE h.type_id = %s AND h.subject_id = ANY(%s::int[]))"""
_CLEAN: Final = "NOT EXISTS (SELECT 1 FROM dirty WHERE dirty.subject_id = r.subject_id)"
_SEGMENTS: Final = "unnest(%s::bigint[], %s::int[], %s::timestamptz[], %s::timestamptz[]) AS r(key, subject_id, lo, hi)"
_IN_INDEX: Final = f" AND d.dims = {NO_DIMENSIONS} AND {PLACES.format('d')} <= 1000"
_TOO_WIDE: Final = f" AND d.dims = {NO_DIMENSIONS} AND {PLACES.format('d')} > 1000"
"""Two indexes of days, and of dekads, without dimensions have these conditions: the first holds the parts, too, so that
a subject's month is read from one place; the second has what is too wide for that, which is hardly ever anything."""
VALUE_DIGEST: Final = "encode(substr(sha256(convert_to(ev.value::text, 'UTF8')), 1, 16), 'hex')::uuid"
"""128 bits that stand for a distinct value of any length."""


def joined(fragments: Sequence[Fragment], separator: str) -> Fragment:
    """Fragments one after the other, with their values."""
    return Fragment(
        separator.join(each.sql for each in fragments), tuple(value for each in fragments for value in each.values)
    )


@dataclass(frozen=True, slots=True)
class Source:
    """Where events `e` come from: a FROM item, conditions, and the column that tells their stretches apart.

    `stands` is the condition that no correction took an event back, where a quicker one than the general is known.
    """

    table: Fragment
    where: str
    key: str = "r.key"
    stands: str = NOT_VOIDED


def events(meter: Meter, source: Source, extra: Sequence[Fragment] = ()) -> Fragment:
    """Events of the source that pass the meter's filters: key, subject, place in time, value, `adds`, `valid`, extras.

    The extra columns are named x0, x1 and so on. Events that a correction took back are left out (R1.4).
    """
    count = counted(meter)
    where, stands = (source.where, source.stands) if meter.known is None else _as_known(source.where, meter.known)
    more = joined([Fragment(f", {each.sql} AS x{place}", each.values) for place, each in enumerate(extra)], "")
    sql = f"""
        SELECT {source.key} AS key, e.subject_id, e.ts, e.batch, e.n, c.value, c.adds,
               ({count.valid}) AS valid{more.sql}
        FROM {source.table.sql}
        CROSS JOIN LATERAL (SELECT {count.value.sql} AS value, {count.adds.sql} AS adds OFFSET 0) c
        WHERE {where} AND {stands} {count.filters.sql}"""
    values = (*more.values, *source.table.values, *count.value.values, *count.adds.values, *count.filters.values)
    return Fragment(sql, values)


def _as_known(where: str, known: Known) -> tuple[str, str]:
    """Conditions of events that were known, and that the last correction that was known let stand."""
    pending = ",".join(map(str, sorted(known.pending)))
    batch = f"(k.position <= {int(known.position)} OR k.no = ANY('{{{pending}}}'::bigint[]))"
    came = f"EXISTS (SELECT 1 FROM metering_batch k WHERE k.no = e.batch AND {batch})"
    last = f"""coalesce((
        SELECT c.counts FROM metering_corrected_event c JOIN billing_correction d ON d.id = c.correction_id
        JOIN metering_batch k ON k.no = d.batch AND {batch}
        WHERE c.batch = e.batch AND c.n = e.n ORDER BY d.id DESC LIMIT 1), true)"""
    return f"{where} AND {came}", last


def claimed(segments: Columns, type_id: int, where: str) -> Source:
    """Events in stretches of subjects' time; the bounds of all together let the planner leave out months."""
    sql = f"""{_SEGMENTS}
        JOIN metering_event e ON e.subject_id = r.subject_id AND e.type_id = %s AND e.ts >= r.lo AND e.ts < r.hi
             AND e.ts >= %s AND e.ts < %s"""
    return Source(Fragment(sql, (*segments.literals(), type_id, min(segments.starts), max(segments.ends))), where)


def _spots(segments: Columns) -> Fragment:
    """The hours that are touched by what is pending, within stretches of clean subjects: few, and found first."""
    return Fragment(
        f"""MATERIALIZED (
            SELECT r.key, r.subject_id, h.hour FROM {_SEGMENTS}
            JOIN (SELECT DISTINCT unnest(hours) AS hour FROM metering_pending) h ON h.hour >= r.lo AND h.hour < r.hi
            WHERE {_CLEAN})""",
        tuple(segments.literals()),
    )


def _pending(segments: Columns, type_id: int) -> Source:
    """Events at those spots, of batches that no rollup holds yet."""
    sql = """spots r JOIN metering_event e ON e.subject_id = r.subject_id AND e.type_id = %s
             AND e.ts >= r.hour AND e.ts < r.hour + interval '1 hour' AND e.ts >= %s AND e.ts < %s"""
    table = Fragment(sql, (type_id, min(segments.starts), max(segments.ends)))
    return Source(table, "e.batch IN (SELECT batch FROM metering_pending)")


def _stored(
    rollup: int, table: str, segments: Columns, names: Sequence[str], dims: Fragment, where: str = ""
) -> Fragment:
    """Rows of a rollup in stretches of subjects' time."""
    labels = "LEFT JOIN metering_dimensions l ON l.digest = d.dims" if dims.sql else ""
    sql = f"""(
        SELECT r.key, {", ".join(f"d.{name}" for name in names)}{dims.sql}
        FROM {_SEGMENTS} JOIN {table} d
             ON d.rollup = %s AND d.subject_id = r.subject_id AND d.bucket >= r.lo AND d.bucket < r.hi{where}
        {labels} WHERE {_CLEAN})"""
    return Fragment(sql, (*dims.values, *segments.literals(), rollup))


class Question:
    """One meter, many stretches: the statement that answers from rollups what they hold, and the rest from events."""

    def __init__(self, meter: Meter, type_id: int, segments: Segments, dimensions: Sequence[Fragment]) -> None:
        self.meter, self.type_id, self.segments, self.dimensions = meter, type_id, segments, dimensions
        self.columns: tuple[Column, ...] = columns(meter.aggregation)

    def ask(self, places: Sequence[int] | None) -> list[tuple[Any, ...]]:
        """Key, dimensions and merged parts of every key and combination that has events.

        `places` are those of the dimensions within the meter's own, by which its rollup can answer; None when it
        cannot, or there is none.
        """
        branches = self._from_events() if places is None else self._from_rollup(places)
        groups = "".join(f", x{place}" for place in range(len(self.dimensions)))
        names = ", ".join(f"{column.merged} AS {column.name}" for column in self.columns)
        statement = joined(
            [
                Fragment("WITH"),
                Fragment(DIRTY, (self.type_id,)),
                *(Fragment(f", {name} AS {each.sql}", each.values) for name, each in branches.items()),
                self._parts(branches, groups),
            ],
            " ",
        )
        unique = self.meter.aggregation == "unique_count"
        answer = f"SELECT p.key{groups}, {names} FROM p GROUP BY p.key{groups}"
        sql = f"{statement.sql} {_with_distinct(answer, groups) if unique else answer}"
        from_events = self.segments.whole if places is None else self.segments.edges
        corrected = [] if places is None else self.segments.whole.periods()
        return months.read(
            sql, statement.values, from_events.periods(), maybe=corrected, when=_CORRECTED,
            when_values=(self.type_id, self.segments.whole.literals()[1]), run=ask,
        )  # fmt: skip

    def _from_events(self) -> dict[str, Fragment]:
        """Everything from the events."""
        return {"ev": self._events([claimed(self.segments.whole, self.type_id, "true")])}

    def _events(self, sources: Sequence[Source]) -> Fragment:
        """Events of all sources, as a CTE's body."""
        all_of_them = joined([events(self.meter, each, self.dimensions) for each in sources], " UNION ALL ")
        return Fragment(f"({all_of_them.sql})", all_of_them.values)

    def _from_rollup(self, places: Sequence[int]) -> dict[str, Fragment]:
        """Days, hours, and single events: at the edges, pending, and all of a subject under correction."""
        branches = {}
        sources = [claimed(self.segments.whole, self.type_id, "r.subject_id IN (SELECT subject_id FROM dirty)")]
        if self.segments.edges.keys:
            sources.append(claimed(self.segments.edges, self.type_id, _CLEAN))
        if self.segments.inner.keys:
            branches["spots"] = _spots(self.segments.inner)
            sources.append(_pending(self.segments.inner, self.type_id))
        branches["ev"] = self._events(sources)
        dims = joined([Fragment(f", l.values[{place + 1}] AS x{i}") for i, place in enumerate(places)], "")
        names = [column.name for column in self.columns]
        values = ["value", "adds", "at", "at_batch", "at_n"]
        rollup = self.meter.rollup
        assert rollup is not None  # it is ready
        days, hours, unique = self.segments.days, self.segments.hours, self.meter.aggregation == "unique_count"
        total = -rollup if self.meter.group_by and not places else rollup  # of all dimensions together
        parts = {"": ""} if places else {"": _IN_INDEX, "w": _TOO_WIDE}
        if (dekads := self.segments.dekads).keys:
            branches |= {
                f"k{wide}": _stored(total, "metering_dekad", dekads, names, dims, where)
                for wide, where in parts.items()
            }
        if days.keys:
            branches |= {
                f"d{wide}": _stored(total, "metering_day", days, names, dims, where) for wide, where in parts.items()
            }
            if unique:
                branches["dv"] = _stored(total, "metering_day_value", days, values, dims)
        if hours.keys:
            branches["h"] = _stored(rollup, "metering_hour", hours, names, dims)
            if unique:
                branches["hv"] = _stored(rollup, "metering_hour_value", hours, values, dims)
        return branches

    def _parts(self, branches: dict[str, Fragment], groups: str) -> Fragment:
        """The CTEs `p`, of parts, and `u`, of distinct values, over all branches."""
        parts = [f"SELECT ev.key, {', '.join(f'{c.of_event} AS {c.name}' for c in self.columns)}{groups} FROM ev"]
        parts += [f"SELECT * FROM {name}" for name in branches if name in ("k", "kw", "d", "dw", "h")]
        sql = f", p AS ({' UNION ALL '.join(parts)})"
        if self.meter.aggregation == "unique_count":
            digests = f"SELECT ev.key, {VALUE_DIGEST}, ev.adds, ev.ts, ev.batch, ev.n{groups} FROM ev WHERE ev.valid"
            values = [f"SELECT * FROM {name}" for name in branches if name in ("dv", "hv")]
            head = f"u(key, value, adds, at, at_batch, at_n{groups})"
            sql += f", {head} AS ({' UNION ALL '.join([digests, *values])})"
        return Fragment(sql)


def _with_distinct(answer: str, groups: str) -> str:
    """The answer with the number of values that are there in the end: the last operation on each decides (R2.4)."""
    by = "".join(f" AND a.x{place} IS NOT DISTINCT FROM b.x{place}" for place in range(groups.count("x")))
    return f"""
        SELECT a.*, coalesce(b.distinct_values, 0) FROM ({answer}) a LEFT JOIN (
            SELECT key{groups}, count(*) FILTER (WHERE adds) AS distinct_values FROM (
                SELECT DISTINCT ON (key{groups}, value) key{groups}, adds FROM u
                ORDER BY key{groups}, value, at DESC, at_batch DESC, at_n DESC
            ) last GROUP BY key{groups}
        ) b ON b.key = a.key{by}"""


def dims_array(dimensions: Sequence[Fragment]) -> Fragment:
    """SQL of an event's dimensions as an array of text; NULL where the meter has none."""
    array = joined(dimensions, ", ")
    return Fragment(f"ARRAY[{array.sql}]::text[]" if dimensions else "NULL::text[]", array.values)
