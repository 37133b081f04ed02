"""The statement that finds the events which criteria mean."""

from datetime import timedelta
from typing import Any, Final

from billing.metering import names
from billing.metering.append import digest_of
from billing.metering.asking import BEGINNING
from billing.metering.corrections.criteria import Criteria
from billing.metering.counting import NOT_VOIDED
from billing.metering.definitions import parse_meter
from billing.metering.meters.filtering import conditions as matching
from billing.metering.meters.fragments import Fragment
from billing.metering.models import EventKey
from billing.metering.months import queries as months
from billing.periods import Period

TICK: Final = timedelta(microseconds=1)


def selection(criteria: Criteria) -> Fragment:
    """FROM and WHERE over events `e` that count and meet the criteria; none when a name was never heard of."""
    tables = Fragment("FROM metering_event e")
    conditions: list[str] = [NOT_VOIDED]
    values: list[Any] = []
    for column, kind, name in (
        ("source_id", names.sources, criteria.source),
        ("type_id", names.types, criteria.type),
        ("subject_id", names.subjects, criteria.subject),
    ):
        if name:
            conditions.append(f"e.{column} = %s")
            values.append(kind.known([name]).get(name, -1))
    if criteria.ids:
        tables = _by_ids(criteria)
    if criteria.period:
        conditions.append("e.ts >= %s AND e.ts < %s")
        values += [criteria.period.start, criteria.period.until]
    if criteria.backfill:
        conditions.append("e.batch IN (SELECT no FROM metering_batch WHERE backfill_id = %s)")
        values.append(criteria.backfill)
    definition = parse_meter({"aggregation": "count", "filters": dict(criteria.filters)})
    match = matching(definition.filters)
    sql = f"{tables.sql} WHERE {' AND '.join(conditions)} {match.sql}"
    return Fragment(sql, (*tables.values, *values, *match.values))


def require_months(criteria: Criteria) -> None:
    """MonthDetached when events that are meant may lie in a detached month. Ask after selecting them."""
    if criteria.ids:
        source = names.sources.known([criteria.source]).get(criteria.source, -1)
        keys = EventKey.objects.filter(digest__in=[digest_of(source, each) for each in criteria.ids])
        months.require([Period(ts, ts + TICK) for ts in keys.values_list("ts", flat=True)])
    else:
        months.require([criteria.period or Period(BEGINNING, None)])


def _by_ids(criteria: Criteria) -> Fragment:
    """Events by their ids, found through their keys, and whatever replaced them, one after the other."""
    source = names.sources.known([criteria.source]).get(criteria.source, -1)
    digests = "{" + ",".join(digest_of(source, each) for each in criteria.ids) + "}"
    sql = """FROM (
        WITH RECURSIVE found AS (
            SELECT e.* FROM metering_key k JOIN metering_event e
                ON e.subject_id = k.subject_id AND e.type_id = k.type_id AND e.ts = k.ts
            WHERE k.digest = ANY(%s::uuid[]) AND e.source_id = %s AND e.id = ANY(%s)
            UNION
            SELECT r.* FROM found JOIN metering_corrected_event c USING (batch, n)
                JOIN metering_event r ON r.batch = c.by_batch AND r.n = c.by_n
        ) SELECT * FROM found) e"""
    return Fragment(sql, (digests, source, list(criteria.ids)))
