"""The verbs of what is not stored: record conflicts, count rejections, keep the problems of streams, and forget them.

A request without problems never comes here, so that the good path pays nothing.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection

from billing.metering.append import Rows
from billing.metering.reports.models import ProblemFile
from billing.metering.validate import MAX_EXAMPLE, NewEvent, Problem

KEPT_DAYS: Final = 30
"""Days for which the problems of a stream can be fetched."""

MOST_CONTENTS: Final = 10
"""Contents that are kept of one id. What a loop sends after those is one row more, which holds the last of them."""

_RECORD: Final = f"""
    WITH r AS (
        SELECT r.n, r.digest, r.source_id, r.id,
               jsonb_build_object('type', t.name, 'subject', s.name, 'time', r.sent, 'data', r.data::jsonb) AS sent
        FROM unnest(%(n)s::int[], %(digest)s::uuid[], %(source)s::int[], %(type)s::int[], %(subject)s::int[],
                    %(time)s::timestamptz[], %(id)s::text[], %(data)s::text[])
             AS r(n, digest, source_id, type_id, subject_id, sent, id, data)
        JOIN metering_type t ON t.id = r.type_id JOIN metering_subject s ON s.id = r.subject_id
    ),
    c AS (SELECT *, md5(sent::text)::uuid AS content FROM r),
    known AS (
        SELECT digest, count(*) AS contents, array_agg(content) AS kept
        FROM metering_conflict WHERE digest IN (SELECT digest FROM c) GROUP BY digest
    ),
    placed AS (
        SELECT c.*, k.kept,
               coalesce(k.contents, 0) + dense_rank() OVER (PARTITION BY c.digest ORDER BY c.content) AS place
        FROM c LEFT JOIN known k USING (digest)
    ),
    one AS (
        SELECT *, CASE WHEN content = ANY (kept) OR place <= {MOST_CONTENTS} THEN content
                       ELSE '00000000-0000-0000-0000-000000000000' END AS row
        FROM placed
    )
    INSERT INTO metering_conflict
        (digest, content, source_id, event_id, sent, key_id, origin, count, first_seen, last_seen)
    SELECT digest, row, min(source_id), min(id), (array_agg(sent ORDER BY n DESC))[1], %(key)s::bigint, %(origin)s,
           count(*), %(now)s, %(now)s
    FROM one GROUP BY digest, row ORDER BY digest, row
    ON CONFLICT (digest, content) DO UPDATE
    SET count = metering_conflict.count + excluded.count, sent = excluded.sent, key_id = excluded.key_id,
        origin = excluded.origin, last_seen = greatest(metering_conflict.last_seen, excluded.last_seen)
"""
_COUNT: Final = """
    INSERT INTO metering_reject (hour, key_id, origin, code, count, last_at, last_message, last_example)
    SELECT date_trunc('hour', %(now)s::timestamptz, 'UTC'), %(key)s::bigint, %(origin)s, code, number, %(now)s,
           message, example
    FROM unnest(%(code)s::text[], %(count)s::bigint[], %(message)s::text[], %(example)s::text[])
         AS r(code, number, message, example)
    ORDER BY code
    ON CONFLICT (hour, (coalesce(key_id, 0)), origin, code) DO UPDATE
    SET count = metering_reject.count + excluded.count, last_at = excluded.last_at,
        last_message = excluded.last_message, last_example = excluded.last_example
"""


def record_conflicts(*, rows: Rows, origin: str, key_id: int | None, now: datetime) -> None:
    """Keep what was sent under ids that are stored with another content (R1.1), each content once.

    One statement, however many. It comes before the answer, so that no conflict is reported that is not kept.
    """
    values: dict[str, Any] = {
        "now": now, "origin": origin, "key": key_id, "n": rows.n, "digest": rows.digest, "source": rows.source,
        "type": rows.type, "subject": rows.subject, "time": rows.sent, "id": rows.id,
        "data": [bytes(data).decode() for data in rows.data],
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_RECORD, values)


def count_rejects(
    *, problems: Sequence[Problem], examples: Mapping[str, str], origin: str, key_id: int | None, now: datetime
) -> None:
    """Count refused events, or a refused request, into the hour (UTC) of `now`; `examples` has one text per code."""
    last = {problem.code: problem for problem in problems}
    codes = sorted(last)
    counts = dict.fromkeys(codes, 0)
    for problem in problems:
        counts[problem.code] += 1
    values: dict[str, Any] = {
        "now": now,
        "key": key_id,
        "origin": origin,
        "code": codes,
        "count": [counts[code] for code in codes],
        "message": [_text(last[code].message) for code in codes],
        "example": [_text(examples.get(code, "")) for code in codes],
    }
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, values)


def remove_problem_files(*, now: datetime) -> int:
    """Remove the problems of streams that are older than 30 days; how many files went."""
    old = ProblemFile.objects.filter(created__lt=now - timedelta(days=KEPT_DAYS))
    return old.delete()[1].get("billing.ProblemFile", 0)


def example_of(*, event: NewEvent) -> str:
    """The event as its sender may have written it, cut after 2,000 characters of data; any text becomes one."""
    fields = {name: getattr(event, name) for name in ("id", "source", "type", "subject")}
    fields["time"] = event.time and event.time.isoformat()
    head = json.dumps({name: value for name, value in fields.items() if value is not None})
    return f'{head[:-1]}, "data": {bytes(event.data)[:MAX_EXAMPLE].decode(errors="replace")}}}'


def _text(sent: str) -> str:
    """What PostgreSQL can keep of a text that anybody may have sent."""
    return sent[:MAX_EXAMPLE].replace("\0", "\ufffd").encode(errors="replace").decode()
