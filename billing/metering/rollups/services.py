"""The verbs of rollups: take in what is pending, build a meter's rollup, and clear what no meter uses any more.

What is pending is a list of committed batches, never "everything after a number": a batch with a lower number may
commit later. A step takes its lock first, handles the batches that it saw, and deletes their marks, in one
transaction; a reader sees either the marks or their effect.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import connection, transaction
from django.db.models import Q

from billing.metering.models import Meter
from billing.metering.months import queries as months
from billing.metering.rollups import buckets
from billing.metering.rollups.models import KEEPS
from billing.metering.segments import dekad_of
from billing.periods import as_utc

_LOCK: Final = 7002
BUILDING: Final = 7003
"""Held, shared, by whoever builds a rollup from all events."""

SETTLES: Final = timedelta(days=1)
"""After the end of a dekad its days are put together: what comes later is added to them one by one."""

BATCHES: Final = 500
"""Batches that a step takes in at most, so that none is long: of 1,000 events, half a million."""

_FOREVER: Final = ("-infinity", "infinity")


@dataclass(frozen=True, slots=True)
class _Taken:
    """The batches of a step in the order of their positions, which end at `position`, and the bounds of their times."""

    batches: list[int]
    bounds: tuple[str, str]
    position: int


def step(*, limit: int = BATCHES) -> int:
    """Take in up to `limit` pending batches, lowest number first; how many it took, 0 when another step is at work.

    It gives each batch its `position`, the order in which facts became known here.
    """
    with transaction.atomic(), _rollup_lock() as held:
        if not held or not (taken := _take(limit)).batches:
            return 0
        _begin()
        types = _types_of(taken)
        corrected = _corrected(taken.batches)
        meters = list(Meter.objects.filter(rollup_ready=True).order_by("id"))
        for meter in meters:
            assert meter.rollup is not None  # a ready one has it
            _absorb(meter, meter.rollup, taken, types, corrected)
        buckets.add_activity(taken.batches, taken.bounds, taken.position)
        for type_id, hours in corrected.items():
            buckets.recount_activity(hours, type_id, taken.position)
    return len(taken.batches)


def catch_up() -> int:
    """Build the rollups that meters lack, then step until nothing is pending; how many batches were taken in."""
    build_missing()
    total = 0
    while taken := step():
        total += taken
    return total


def build_missing() -> int:
    """Build the rollup of each meter that has none; how many were built."""
    ids = list(Meter.objects.filter(rollup_ready=False).order_by("id").values_list("id", flat=True))
    return sum(build(meter_id=meter_id) for meter_id in ids)


def build(*, meter_id: int) -> bool:
    """Count all old events for a meter, so that its answers come quickly; False when it changed meanwhile, and while
    events of its type lie in detached months.

    Until it is done the meter's answers come from the events themselves. The long part holds no lock: it counts what
    steps had taken in when it began, then what they took in since, under the lock.
    """
    with _advisory("pg_advisory_lock_shared", "pg_advisory_unlock_shared", BUILDING):
        return _build(meter_id)


def _build(meter_id: int) -> bool:
    """See build."""
    meter = Meter.objects.get(pk=meter_id)
    meter.settled = None  # that is of an earlier rollup
    outermost = not connection.in_atomic_block
    with transaction.atomic(), connection.cursor() as cursor:
        if outermost:  # one snapshot for what is pending, and for what stands
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        cursor.execute("SELECT coalesce(max(position), 0) FROM metering_batch")
        (position,) = cursor.fetchone()
        cursor.execute("SELECT nextval('metering_rollup_no')")
        (rollup,) = cursor.fetchone()
        _begin()
        type_id = _type_id(meter.event_type)
        if type_id is not None and months.detached_with(type_id):
            return False  # its answers come from the events, and those of detached months are refused
        if type_id is not None:
            buckets.add(meter, rollup, buckets.of_everything(type_id), position)
    with transaction.atomic(), _rollup_lock(wait=True):
        _begin()
        now = Meter.objects.select_for_update().get(pk=meter_id)
        if now.rollup_ready or now.definition() != meter.definition() or now.event_type != meter.event_type:
            _delete_rollups([rollup])
            return False
        if batches := _after(position):
            taken = _Taken(batches, _FOREVER, position + len(batches))
            _absorb(meter, rollup, taken, _types_of(taken), _corrected(batches))
        Meter.objects.filter(pk=meter_id).update(rollup=rollup, rollup_ready=True, settled=None)
    return True


def settle(*, now: datetime) -> int:
    """Make dekads of the days of each meter's rollup that have been over for a while; of how many meters.

    From then on steps keep them, so that an answer may rely on whatever dekad it once saw. A meter that counts distinct
    values has none.
    """
    end = dekad_of(as_utc(now) - SETTLES)
    behind = Q(settled=None) | Q(settled__lt=end)
    ready = Meter.objects.filter(behind, rollup_ready=True).exclude(aggregation="unique_count")
    return sum(_settle(meter_id, end) for meter_id in list(ready.order_by("id").values_list("id", flat=True)))


def _settle(meter_id: int, end: datetime) -> bool:
    """See settle: one meter, unless another process was faster."""
    with transaction.atomic(), _rollup_lock(wait=True):
        meter = Meter.objects.select_for_update().get(pk=meter_id)
        if not meter.rollup_ready or meter.rollup is None or (meter.settled and meter.settled >= end):
            return False
        _begin()
        buckets.settle(meter, meter.rollup, meter.settled, end)
        meter.settled = end
        meter.save(update_fields=["settled"])
    return True


def clear_unused() -> int:
    """Delete the rows of rollups that no meter uses: of an old definition, or of a build that was given up.

    How many rollups it deleted; none while one is built, since that is not yet used either.
    """
    with _advisory("pg_try_advisory_lock", "pg_advisory_unlock", BUILDING) as held, transaction.atomic():
        if not held:
            return 0
        with _rollup_lock(wait=True), connection.cursor() as cursor:
            cursor.execute(
                """WITH RECURSIVE found AS (
                       (SELECT rollup FROM metering_hour ORDER BY rollup LIMIT 1)
                       UNION ALL
                       SELECT (SELECT h.rollup FROM metering_hour h WHERE h.rollup > found.rollup ORDER BY 1 LIMIT 1)
                       FROM found WHERE found.rollup IS NOT NULL)
                   SELECT rollup FROM found WHERE rollup IS NOT NULL
                       AND rollup NOT IN (SELECT rollup FROM billing_meter WHERE rollup IS NOT NULL)"""
            )
            unused = [rollup for (rollup,) in cursor.fetchall()]
            _delete_rollups(unused)
    return len(unused)


@contextmanager
def _advisory(take: str, leave: str, number: int) -> Iterator[bool]:
    """A lock of the session, beyond any transaction; whether it is held."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {take}(%s)", [number])
        (answer,) = cursor.fetchone()
    held = answer is not False
    try:
        yield held
    finally:
        if held:
            with connection.cursor() as cursor:
                cursor.execute(f"SELECT {leave}(%s)", [number])


@contextmanager
def _rollup_lock(*, wait: bool = False) -> Iterator[bool]:
    """The lock of whoever changes rollups, for the transaction; whether it is held."""
    with connection.cursor() as cursor:
        if wait:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
            yield True
            return
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
        (held,) = cursor.fetchone()
    yield held


def _begin() -> None:
    """Let this transaction write days, sort and group in memory, and not wait for the disk: what is lost with it is
    done again."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SET LOCAL work_mem = '64MB'; SET LOCAL synchronous_commit = off; SET LOCAL {KEEPS} = 'totals, dekads'"
        )


def _take(limit: int) -> _Taken:
    """Take the marks of pending batches away, and give the batches their positions."""
    with connection.cursor() as cursor:
        cursor.execute(
            """WITH taken AS (
                   DELETE FROM metering_pending WHERE batch IN (
                       SELECT batch FROM metering_pending ORDER BY batch LIMIT %s)
                   RETURNING batch, hours)
               SELECT coalesce(array_agg(batch ORDER BY batch), '{}'),
                      (SELECT min(h) FROM taken, unnest(hours) h)::text,
                      (SELECT max(h) + interval '1 hour' FROM taken, unnest(hours) h)::text
               FROM taken""",
            [limit],
        )
        batches, start, end = cursor.fetchone()
        cursor.execute(
            """UPDATE metering_batch b SET position = m.position + r.place
               FROM (SELECT coalesce(max(position), 0) AS position FROM metering_batch) m,
                    unnest(%s::bigint[]) WITH ORDINALITY AS r(no, place)
               WHERE b.no = r.no RETURNING b.position""",
            [buckets.batches_literal(batches)],
        )
        positions = [position for (position,) in cursor.fetchall()]
    return _Taken(batches, (start or "infinity", end or "infinity"), max(positions, default=0))


def _absorb(
    meter: Meter, rollup: int, taken: _Taken, types: dict[str, int], corrected: dict[int, buckets.Hours]
) -> None:
    """Bring a meter's rollup up to a position: new events are added, hours under correction are counted anew."""
    type_id = types.get(meter.event_type)
    if type_id is not None:
        buckets.add(meter, rollup, buckets.of_batches(taken.batches, taken.bounds, type_id), taken.position)
    known = _type_id(meter.event_type) if corrected else None
    if known in corrected:
        buckets.recount(meter, rollup, corrected[known], known, taken.position)


def _types_of(taken: _Taken) -> dict[str, int]:
    """The types of the batches' events, by name."""
    _summarise(taken)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT t.name, t.id FROM metering_type t
                WHERE t.id IN (SELECT DISTINCT e.type_id FROM metering_event e WHERE {buckets.BATCHES})""",
            [buckets.batches_literal(taken.batches), min(taken.batches), max(taken.batches), *taken.bounds],
        )
        return dict(cursor.fetchall())


def _summarise(taken: _Taken) -> None:
    """Let the block ranges of the newest rows know their batches, so that what follows reads only these."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT brin_summarize_new_values(i.indexrelid)
               FROM pg_inherits JOIN pg_index i ON i.indrelid = inhrelid
               JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam AND a.amname = 'brin'
               WHERE inhparent = 'metering_event'::regclass"""
        )


def _corrected(batches: Sequence[int]) -> dict[int, buckets.Hours]:
    """The hours that corrections among the batches touched, by type."""
    found: dict[int, buckets.Hours] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT DISTINCT type_id, subject_id, to_char(hour AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"')
               FROM metering_corrected_hour WHERE batch = ANY(%s::bigint[]) ORDER BY 1, 2, 3""",
            [buckets.batches_literal(batches)],
        )
        for type_id, subject_id, hour in cursor.fetchall():
            subjects, hours = found.setdefault(type_id, ([], []))
            subjects.append(subject_id)
            hours.append(hour)
    return found


def _after(position: int) -> list[int]:
    """The batches that steps took in after a position."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT no FROM metering_batch WHERE position > %s ORDER BY position", [position])
        return [no for (no,) in cursor.fetchall()]


def _type_id(name: str) -> int | None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM metering_type WHERE name = %s", [name])
        row = cursor.fetchone()
    return row[0] if row else None


def _delete_rollups(rollups: Sequence[int]) -> None:
    literal = buckets.batches_literal([*rollups, *(-rollup for rollup in rollups)])
    with connection.cursor() as cursor:
        for table in ("hour", "day", "dekad", "hour_value", "day_value"):
            cursor.execute(f"DELETE FROM metering_{table} WHERE rollup = ANY(%s::bigint[])", [literal])
