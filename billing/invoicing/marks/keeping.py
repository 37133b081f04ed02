"""Marks as chunks read and write them: what was known when they began, and that they computed from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from django.db import connection

from billing.invoicing.engine import ENGINE
from billing.metering.asking import Known
from billing.metering.queries import known_now


@dataclass(frozen=True, slots=True)
class Seen:
    """What a chunk knows: of usage, and which touches of its contracts it answers to."""

    usage: Known
    touches: tuple[int, ...]
    general: int


@dataclass(frozen=True, slots=True)
class Computed:
    """As of when a contract was computed, and as of which day something falls due next."""

    until: datetime
    due_on: date | None


def seen(contract_ids: Sequence[int]) -> Seen:
    """What is known now; the first thing that a chunk asks once it holds its locks, so that it misses nothing later.

    Holds the contracts' marks, so that nobody moves them until the transaction ends. Three queries.
    """
    usage = known_now()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM (SELECT 1 FROM billing_mark WHERE contract_id = ANY(%s::bigint[])"
            " ORDER BY contract_id FOR UPDATE) held",
            [list(contract_ids)],
        )
        cursor.execute(
            """SELECT (SELECT count(*) FROM customers_touch WHERE contract_id IS NULL),
                      (SELECT coalesce(array_agg(id), '{}') FROM customers_touch
                       WHERE contract_id = ANY(%s::bigint[]))""",
            [list(contract_ids)],
        )
        general, touches = cursor.fetchone()
    return Seen(usage, tuple(touches), general)


def settle(seen: Seen, contract_ids: Sequence[int], computed: Mapping[int, Computed]) -> None:
    """Mark the contracts that were computed; the last thing that a chunk does. The others of it lose their mark.

    Touches go that were seen at its beginning, and those that its own writing made. Three statements.
    """
    ids = sorted(computed)
    with connection.cursor() as cursor:
        cursor.execute(
            """DELETE FROM customers_touch WHERE id = ANY(%s::bigint[])
               OR contract_id = ANY(%s::bigint[]) AND transaction = pg_current_xact_id()::text""",
            [list(seen.touches), list(contract_ids)],
        )
        cursor.execute(
            "DELETE FROM billing_mark WHERE contract_id = ANY(%s::bigint[])",
            [[each for each in contract_ids if each not in computed]],
        )
        cursor.execute(
            """INSERT INTO billing_mark (contract_id, until, due_on, position, general, engine)
               SELECT contract_id, until, due_on, %s, %s, %s
               FROM unnest(%s::bigint[], %s::timestamptz[], %s::date[]) AS r(contract_id, until, due_on)
               ON CONFLICT (contract_id) DO UPDATE SET until = excluded.until, due_on = excluded.due_on,
                   position = excluded.position, general = excluded.general, engine = excluded.engine""",
            [
                seen.usage.position, seen.general, ENGINE, ids, [computed[each].until for each in ids],
                [computed[each].due_on for each in ids],
            ],
        )  # fmt: skip
