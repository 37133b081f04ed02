"""Events as they are stored, newest first, page by page; and what became of each: who it counts for, by which meters.

Events are read through the look-up index (subject, type, time), never by a walk over a month.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.db import connection, transaction
from django.db.models import Q

from billing.metering.append import digest_of
from billing.metering.asking import Claim
from billing.metering.explorer.judging import judged
from billing.metering.meters import Fragment
from billing.metering.models import EventKey, EventSource, Meter
from billing.metering.months import queries as months
from billing.periods import Period

SPANS: Final = (timedelta(hours=1), timedelta(days=1), timedelta(days=30))
"""The newest events of several claims are looked for in ever longer stretches of time: each claim costs a look-up."""
FUTURE: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """Where an event stands in the order of time, batch and place; the address of the next page."""

    ts: datetime
    batch: int
    n: int

    def __str__(self) -> str:
        return f"{self.ts.isoformat()}_{self.batch}_{self.n}"

    @classmethod
    def parse(cls, text: str) -> "Mark | None":
        """The mark that was written so, None for any other text."""
        try:
            ts, batch, n = text.split("_")
            mark = cls(datetime.fromisoformat(ts), int(batch), int(n))
        except ValueError:
            return None
        return mark if mark.ts.tzinfo else None


@dataclass(frozen=True, slots=True)
class Stored:
    """An event as it is kept, with the batch that brought it. `data` is JSON text with its numbers exact."""

    batch: int
    n: int
    ts: datetime
    id: str
    source_id: int
    type_id: int
    subject_id: int
    source: str
    type: str
    subject: str
    data: str
    recorded_at: datetime
    origin: str
    key_id: int | None
    backfill_id: int | None

    @property
    def mark(self) -> Mark:
        """Its place in the order."""
        return Mark(self.ts, self.batch, self.n)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one meter makes of an event: `value` it counts (None: it counts the event itself), or why it does not."""

    meter: Meter
    passes: bool
    value: Decimal | str | bool | None
    problem: str

    @property
    def counts(self) -> bool:
        """Whether the meter would count the event for whoever claims it."""
        return self.passes and not self.problem


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of an event: the customer that claims it at its time, whether it is voided, and every meter."""

    customer_id: int | None
    customer: str
    voided: bool
    verdicts: tuple[Verdict, ...]


COLUMNS: Final = """e.batch, e.n, e.ts, e.id, e.source_id, e.type_id, e.subject_id, source.name, type.name,
    subject.name, e.data::text, b.recorded_at, b.origin, b.key_id, b.backfill_id"""
NAMES: Final = """JOIN metering_source source ON source.id = e.source_id JOIN metering_type type ON type.id = e.type_id
    JOIN metering_subject subject ON subject.id = e.subject_id JOIN metering_batch b ON b.no = e.batch"""
_ORDER: Final = "ORDER BY e.ts DESC, e.batch DESC, e.n DESC"


def latest(
    *, claims: Iterable[Claim] | None, types: Sequence[str] | None, period: Period, before: Mark | None, limit: int,
    now: datetime, where: Fragment | None = None,
) -> list[Stored]:  # fmt: skip
    """The newest events of these claims (None: of all customers) within the period, before a mark, at most `limit`.

    `types` None is all types. `where` is a condition beginning with AND over the event `e`. Tied events go by arrival.
    `now` is where most of the newest are. MonthDetached when a month of the archive would have to be read.
    """
    source = Fragment(_ANYBODYS) if claims is None else _pieces(claims, period)
    if not source.sql:
        return []
    end = min(period.end or FUTURE, before.ts + timedelta(microseconds=1) if before else FUTURE)
    alone = claims is not None and len(source.values[0]) == 1
    late = [] if alone else [min(end, now) - span for span in SPANS]
    with transaction.atomic():  # keeps every month that is read from being detached before it is asked for
        for start in [*(each for each in late if each > period.start), period.start]:
            found = _latest(source, types, Period(start, end), before, limit, where or Fragment(""))
            if len(found) == limit:
                months.require([Period(found[-1].ts, end)])
                return found
        months.require([Period(period.start, end)])
    return found


def _latest(
    source: Fragment, types: Sequence[str] | None, period: Period, before: Mark | None, limit: int,
    where: Fragment,
) -> list[Stored]:  # fmt: skip
    """One look-up for each claim and type; each gives its newest, and the newest of these are the answer."""
    cursor_sql = "AND (e.ts, e.batch, e.n) < (%s, %s, %s)" if before else ""
    chosen = "" if types is None else "WHERE name = ANY(%s)"
    statement = f"""
        SELECT {COLUMNS}
        FROM (
            SELECT e.* FROM {source.sql}
            JOIN metering_subject s ON s.name = r.subject
            CROSS JOIN (SELECT id FROM metering_type {chosen}) t
            CROSS JOIN LATERAL (
                SELECT * FROM metering_event e
                WHERE e.subject_id = s.id AND e.type_id = t.id AND e.ts >= r.lo AND e.ts < r.hi
                  AND e.ts >= %s AND e.ts < %s {cursor_sql} {where.sql}
                {_ORDER} LIMIT %s
            ) e
            {_ORDER} LIMIT %s
        ) e {NAMES} {_ORDER}
    """
    values: list[Any] = [*source.values, *([] if types is None else [list(types)]), period.start, period.until]
    values += [before.ts, before.batch, before.n] if before else []
    return read(statement, [*values, *where.values, limit, limit])


def find(event_id: str, source: str | None = None) -> tuple[list[Stored], list[EventKey]]:
    """Events of that id, of one source or of any; and the keys of those that are known but not stored here any more.

    The key's digest names the event; the event itself is found through its time, subject and type.
    """
    sources = EventSource.objects.filter(name=source) if source is not None else EventSource.objects.all()
    digests = {digest_of(pk, event_id): pk for pk in sources.values_list("pk", flat=True)}
    keys = list(EventKey.objects.filter(digest__in=digests).select_related("subject", "type"))
    if not keys:
        return [], []
    statement = f"""
        SELECT {COLUMNS}
        FROM unnest(%s::int[], %s::int[], %s::timestamptz[], %s::int[]) AS k(subject_id, type_id, ts, source_id)
        JOIN metering_event e ON e.subject_id = k.subject_id AND e.type_id = k.type_id AND e.ts = k.ts
             AND e.source_id = k.source_id AND e.id = %s AND e.ts >= %s AND e.ts <= %s
        {NAMES} {_ORDER}
    """
    times = [key.ts for key in keys]
    origins = [digests[key.digest.hex] for key in keys]
    columns = [[key.subject_id for key in keys], [key.type_id for key in keys], times, origins]
    found = read(statement, [*columns, event_id, min(times), max(times)])
    there = {(event.source_id, event.ts) for event in found}
    away = [key for key, origin in zip(keys, origins, strict=True) if (origin, key.ts) not in there]
    return found, away


def at_place(batch: int, n: int) -> Stored | None:
    """The event at a place in a batch, through the batch's own index."""
    found = read(f"SELECT {COLUMNS} FROM metering_event e {NAMES} WHERE e.batch = %s AND e.n = %s", [batch, n])
    return found[0] if found else None


def fates(events: Sequence[Stored]) -> dict[tuple[int, int], Fate]:
    """What became of each event, by batch and place: three queries, however many events and meters.

    Meters are those of today, and earlier versions that prices still count with.
    """
    current = Meter.objects.with_use().filter(Q(superseded_at=None) | Q(sold=True))
    meters = list(current.filter(event_type__in={event.type for event in events})) if events else []
    verdicts: dict[tuple[int, int], list[Verdict]] = {(event.batch, event.n): [] for event in events}
    for meter, batch, n, passes, value, problem in _judged(events, meters):
        verdicts[batch, n].append(Verdict(meter, passes, value, problem or ""))
    people = _people(events)
    return {place: Fate(*people[place], tuple(found)) for place, found in verdicts.items()}


def _people(events: Sequence[Stored]) -> dict[tuple[int, int], tuple[int | None, str, bool]]:
    """The customer of each event at its time, with the name, and whether the event is voided."""
    statement = """
        SELECT k.batch, k.n, c.customer_id, coalesce(u.legal_name, ''), v.batch IS NOT NULL
        FROM unnest(%s::bigint[], %s::int[], %s::text[], %s::timestamptz[]) AS k(batch, n, subject, ts)
        LEFT JOIN customers_usagesubject c ON c.subject = k.subject
             AND (c.valid_from IS NULL OR c.valid_from <= k.ts) AND (c.valid_to IS NULL OR k.ts < c.valid_to)
        LEFT JOIN customers_customer u ON u.id = c.customer_id
        LEFT JOIN metering_voided v ON v.batch = k.batch AND v.n = k.n
    """
    if not events:
        return {}
    columns = zip(*((event.batch, event.n, event.subject, event.ts) for event in events), strict=True)
    with connection.cursor() as cursor:
        cursor.execute(statement, [list(column) for column in columns])
        return {(batch, n): (customer, name, voided) for batch, n, customer, name, voided in cursor.fetchall()}


def _judged(
    events: Sequence[Stored], meters: Sequence[Meter]
) -> list[tuple[Meter, int, int, bool, Decimal | str | bool | None, str | None]]:
    """Every meter's view of every event of its type: one statement, a part for each meter."""
    types = {event.type: event.type_id for event in events}
    by_id = {meter.pk: meter for meter in meters}
    parts, values = [], []
    for meter in meters:
        it = judged(meter)
        parts.append(f"""
            SELECT {int(meter.pk)}, e.batch, e.n, (true {it.filters.sql}), to_jsonb(c.value)::text, {it.reason.sql}
            FROM k e {it.lateral.sql} WHERE e.type_id = %s
        """)
        values += [*it.filters.values, *it.reason.values, *it.lateral.values, types[meter.event_type]]
    if not parts:
        return []
    statement = f"""
        WITH k AS MATERIALIZED (
            SELECT * FROM unnest(%s::bigint[], %s::int[], %s::int[], %s::jsonb[]) AS r(batch, n, type_id, data)
        ) {" UNION ALL ".join(parts)}
    """
    columns = zip(*((event.batch, event.n, event.type_id, event.data) for event in events), strict=True)
    with connection.cursor() as cursor:
        cursor.execute(statement, [*(list(column) for column in columns), *values])
        rows = cursor.fetchall()
    return [(by_id[pk], batch, n, passes, _value(value), why) for pk, batch, n, passes, value, why in rows]


def _value(text: str | None) -> Decimal | str | bool | None:
    """A counted value: a number exactly, or the text or truth value that a count of distinct values reads."""
    return None if text is None else json.loads(text, parse_float=Decimal, parse_int=Decimal)


_ANYBODYS: Final = """
    (SELECT subject, coalesce(valid_from, '-infinity') AS lo, coalesce(valid_to, 'infinity') AS hi
     FROM customers_usagesubject) r"""


def _pieces(claims: Iterable[Claim], period: Period) -> Fragment:
    """Subject and bounds of every claim within the period, as rows `r`; nothing where there is none."""
    cut = ((subject, claimed.intersect(period)) for subject, claimed in claims)
    kept = [(subject, common) for subject, common in cut if common is not None and not common.is_empty]
    if not kept:
        return Fragment("")
    columns = (
        [subject for subject, _ in kept],
        [common.start.isoformat() for _, common in kept],
        ["infinity" if common.end is None else common.end.isoformat() for _, common in kept],
    )
    return Fragment("unnest(%s::text[], %s::timestamptz[], %s::timestamptz[]) AS r(subject, lo, hi)", columns)


def read(statement: str, values: Sequence[Any]) -> list[Stored]:
    """The events that a statement over `COLUMNS` and `NAMES` gives."""
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return [Stored(*row) for row in cursor.fetchall()]
