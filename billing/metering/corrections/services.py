"""The verbs of corrections: void, replace, revert a backfill, undo. Each is a new fact; no event is edited (R1.4).

One correction at a time, by a lock, so that a later one never commits before an earlier. Events are handled as sets:
the number of statements does not depend on how many they are.
"""

from datetime import UTC, datetime
from typing import Any, Final

from django.contrib.auth.models import AbstractBaseUser
from django.db import connection, transaction

from billing.metering import names, partitions
from billing.metering.corrections.criteria import Changes, Criteria
from billing.metering.corrections.errors import CannotUndo, CorrectionError, NothingToCorrect, SelectionChanged
from billing.metering.corrections.models import Backfill, CorrectedHour, Correction
from billing.metering.corrections.selecting import TICK, require_months, selection
from billing.metering.exact_json import dumps
from billing.metering.months import queries as months
from billing.periods import Period

_LOCK: Final = 7004
_HOUR: Final = "date_bin('1 hour', {}, timestamptz '2000-01-01 00:00:00+00')"


def void(
    *,
    criteria: Criteria,
    reason: str,
    user: AbstractBaseUser | None,
    now: datetime,
    expected: int | None = None,
    key_id: int | None = None,
) -> Correction:
    """Let the events that meet the criteria count no more. Who says so is a user, or an API key.

    `expected` is how many were shown before: SelectionChanged when others meet the criteria now. NothingToCorrect when
    none does.
    """
    with transaction.atomic():
        _begin()
        _select(criteria)
        return _correct("void", _header(reason, user, key_id, now, criteria=criteria.to_json()), expected)


def replace(
    *, criteria: Criteria, changes: Changes, reason: str, user: AbstractBaseUser | None, now: datetime,
    expected: int | None = None, key_id: int | None = None,
) -> Correction:  # fmt: skip
    """Let changed copies of the events that meet the criteria count instead of them; see void."""
    with transaction.atomic():
        _begin()
        _select(criteria)
        _change(changes)
        header = _header(reason, user, key_id, now, criteria=criteria.to_json(), changes=changes.to_json())
        return _correct("replace", header, expected)


def revert(
    *, backfill: Backfill, reason: str, user: AbstractBaseUser | None, now: datetime, key_id: int | None = None
) -> Correction:
    """Let no event of a backfill count any more; what is sent again under their ids stays a duplicate (R1.1)."""
    with transaction.atomic():
        _begin()
        _select(Criteria(backfill=backfill.pk))
        return _correct("revert", _header(reason, user, key_id, now, backfill=backfill))


def undo(
    *, correction: Correction, reason: str, user: AbstractBaseUser | None, now: datetime, key_id: int | None = None
) -> Correction:
    """Let everything count as it did before a correction; CannotUndo when a later one stands on it."""
    with transaction.atomic():
        _begin()
        if correction.kind == Correction.Kind.UNDO:
            raise CannotUndo("This took back a correction; make that one again instead.")
        if Correction.objects.filter(undoes=correction).exists():
            raise CannotUndo("This correction is undone already; nothing needs to be done.")
        _refuse_if_built_upon(correction)
        _require_months(correction)
        return _undo(correction, _header(reason, user, key_id, now, undoes=correction))


def make_backfill(
    *, name: str, reason: str, user: AbstractBaseUser | None, now: datetime, key_id: int | None = None
) -> Backfill:
    """A name for usage that comes in together and can be taken back as a whole (`revert`)."""
    return Backfill.objects.create(
        name=name, reason=reason, created_by_id=user.pk if user else None, api_key_id=key_id, created_at=now
    )


def _header(
    reason: str, user: AbstractBaseUser | None, key_id: int | None, now: datetime, **fields: Any
) -> dict[str, Any]:
    """Who, when and why; CorrectionError without a reason."""
    if not reason.strip():
        raise CorrectionError("A correction needs a reason: who reads the invoice later will ask.")
    by = {"created_by_id": user.pk if user else None, "api_key_id": key_id}
    return {"reason": reason.strip(), "created_at": now, **by, **fields}


def _begin() -> None:
    """Wait for whoever corrects, and make room for the events that are meant."""
    _run("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
    _run("DROP TABLE IF EXISTS correcting")
    _run(
        """CREATE TEMPORARY TABLE correcting (
               place int GENERATED ALWAYS AS IDENTITY, batch bigint, n int, source_id int, type_id int, subject_id int,
               ts timestamptz, id text, data jsonb,
               new_type_id int, new_subject_id int, new_ts timestamptz, new_data jsonb
           ) ON COMMIT DROP"""
    )


def _select(criteria: Criteria) -> None:
    """The events that are meant, in the order of their arrival."""
    found = selection(criteria)
    _run(
        f"""INSERT INTO correcting (batch, n, source_id, type_id, subject_id, ts, id, data)
            SELECT e.batch, e.n, e.source_id, e.type_id, e.subject_id, e.ts, e.id, e.data
            {found.sql} ORDER BY e.batch, e.n""",
        found.values,
    )
    require_months(criteria)


def _change(changes: Changes) -> None:
    """What is to count instead."""
    if changes.time:
        partitions.ensure(partitions.of([changes.time]))
    gone = [name for name, value in changes.data.items() if value is None]
    kept = {name: value for name, value in changes.data.items() if value is not None}
    _run(
        """UPDATE correcting SET
               new_type_id = coalesce(%s, type_id), new_subject_id = coalesce(%s, subject_id),
               new_ts = coalesce(%s, ts), new_data = (data || %s::jsonb) - %s::text[]""",
        [
            names.types.resolve([changes.type])[changes.type] if changes.type else None,
            names.subjects.resolve([changes.subject])[changes.subject] if changes.subject else None,
            changes.time, dumps(kept), gone,
        ],
    )  # fmt: skip


def _correct(kind: str, header: dict[str, Any], expected: int | None = None) -> Correction:
    """Write the correction of the events that are meant, and the mark by which rollups find it."""
    count = _scalar("SELECT count(*) FROM correcting")
    if not count:
        raise NothingToCorrect
    if expected is not None and expected != count:
        raise SelectionChanged(expected, count)
    batch = _batch(header["created_at"])
    correction = Correction.objects.create(kind=kind, batch=batch, events=count, **header)
    _run(
        """INSERT INTO metering_event (batch, n, source_id, type_id, subject_id, ts, id, data)
           SELECT %s, place, source_id, new_type_id, new_subject_id, new_ts, id, new_data
           FROM correcting WHERE new_ts IS NOT NULL""",
        [batch],
    )
    _run(
        """INSERT INTO metering_corrected_event (correction_id, batch, n, counts, by_batch, by_n)
           SELECT %s, batch, n, false, CASE WHEN new_ts IS NOT NULL THEN %s::bigint END,
                  CASE WHEN new_ts IS NOT NULL THEN place END FROM correcting""",
        [correction.pk, batch],
    )
    _run("INSERT INTO metering_voided (batch, n, correction_id) SELECT batch, n, %s FROM correcting", [correction.pk])
    _mark(batch, "SELECT type_id, subject_id, ts FROM correcting", "SELECT new_ts AS ts FROM correcting")
    return correction


def _refuse_if_built_upon(correction: Correction) -> None:
    """CannotUndo when a later correction says something of an event that this one made or let go."""
    later = _scalar(
        """SELECT max(later.correction_id) FROM metering_corrected_event mine
           JOIN metering_corrected_event later ON later.correction_id > mine.correction_id
                AND (later.batch, later.n) IN ((mine.batch, mine.n), (mine.by_batch, mine.by_n))
           JOIN billing_correction c ON c.id = later.correction_id AND c.kind <> 'undo'
           LEFT JOIN billing_correction undone ON undone.undoes_id = later.correction_id
           WHERE mine.correction_id = %s AND undone.id IS NULL""",
        [correction.pk],
    )
    if later is not None:
        raise CannotUndo(f"Correction {later} corrects some of these events again; undo that one first.")


def _require_months(correction: Correction) -> None:
    """MonthDetached when events of a correction, or their replacements, lie in a detached month."""
    touched = CorrectedHour.objects.filter(batch=correction.batch).values_list("hour", flat=True)
    hours = set(touched)
    if moved := correction.changes.get("time"):
        hours.add(datetime.fromisoformat(moved))
    months.require([Period(hour, hour + TICK) for hour in hours])


def _undo(correction: Correction, header: dict[str, Any]) -> Correction:
    """Let the events of a correction count again, and its replacements no more."""
    batch = _batch(header["created_at"])
    undone = Correction.objects.create(kind="undo", batch=batch, events=correction.events, **header)
    _run(
        """INSERT INTO metering_corrected_event (correction_id, batch, n, counts)
           SELECT %s, batch, n, true FROM metering_corrected_event WHERE correction_id = %s
           UNION ALL
           SELECT %s, by_batch, by_n, false FROM metering_corrected_event
           WHERE correction_id = %s AND by_batch IS NOT NULL""",
        [undone.pk, correction.pk] * 2,
    )
    _run("DELETE FROM metering_voided WHERE correction_id = %s", [correction.pk])
    _run(
        """INSERT INTO metering_voided (batch, n, correction_id)
           SELECT batch, n, correction_id FROM metering_corrected_event WHERE correction_id = %s AND NOT counts""",
        [undone.pk],
    )
    touched = "SELECT type_id, subject_id, hour AS ts FROM metering_corrected_hour WHERE batch = %s"
    made = "SELECT type_id, subject_id, ts FROM metering_event WHERE batch = %s"
    _mark(batch, f"{touched} UNION ALL {made}", "SELECT NULL::timestamptz AS ts", [correction.batch, correction.batch])
    return undone


def _batch(now: datetime) -> int:
    """A batch of its own, by which the correction gets its place in the order in which facts became known."""
    found: int = _scalar(
        "INSERT INTO metering_batch (recorded_at, origin) VALUES (%s, 'correction') RETURNING no", [now.astimezone(UTC)]
    )
    return found


def _mark(batch: int, touched: str, made: str, values: list[Any] | None = None) -> None:
    """Let whoever counts know: hours to count anew, and a batch that is pending."""
    _run(
        f"""INSERT INTO metering_corrected_hour (batch, type_id, subject_id, hour)
            SELECT DISTINCT %s::bigint, t.type_id, t.subject_id, {_HOUR.format("t.ts")} FROM ({touched}) t""",
        [batch, *(values or [])],
    )
    _run(
        f"""INSERT INTO metering_pending (batch, hours)
            SELECT %s, coalesce(array_agg(DISTINCT {_HOUR.format("m.ts")}) FILTER (WHERE m.ts IS NOT NULL), '{{}}')
            FROM ({made}) m""",
        [batch],
    )


def _run(sql: str, values: Any = ()) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)


def _scalar(sql: str, values: Any = ()) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchone()[0]
