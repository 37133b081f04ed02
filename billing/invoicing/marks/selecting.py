"""Which contracts a run has to compute: those of which something falls due, or about which something was learned."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import date, datetime

from django.db import OperationalError, connection, transaction

from billing.invoicing.engine import ENGINE
from billing.metering.changes import changed_after
from billing.metering.queries import known_now

_LATE = """
    SELECT DISTINCT m.contract_id FROM unnest(%s::text[], %s::timestamptz[]) AS changed(subject, first)
    JOIN customers_usagesubject u ON u.subject = changed.subject
    JOIN customers_contract k ON k.customer_id = u.customer_id
    JOIN billing_mark m ON m.contract_id = k.id WHERE changed.first < m.until
"""


def needed(*, as_of: date) -> list[int]:
    """The active contracts whose drafts may differ from their deltas as of a day, by customer; usually a few too many.

    All contracts of a customer come together, since one that is held holds the others. The drafts of the rest are what
    they were: computing them anew would change nothing. A constant number of queries, which cost what became known
    since the last time, and a row a contract.
    """
    late = _late()
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT k.id FROM customers_contract k
               WHERE k.state = 'active' AND k.start <= %s AND k.customer_id IN (
                   SELECT n.customer_id FROM customers_contract n LEFT JOIN billing_mark m ON m.contract_id = n.id
                   WHERE n.state = 'active' AND n.start <= %s
                     AND (m.contract_id IS NULL OR m.due_on <= %s OR m.engine <> %s
                          OR m.general <> (SELECT count(*) FROM customers_touch WHERE contract_id IS NULL)
                          OR n.id = ANY(%s)
                          OR EXISTS (SELECT 1 FROM billing_invoicingpolicy p WHERE p.since <= %s
                                     AND p.since > (m.until AT TIME ZONE n.timezone)::date)
                          OR n.id IN (SELECT contract_id FROM customers_touch WHERE contract_id IS NOT NULL)))
               ORDER BY k.customer_id, k.id""",
            [as_of, as_of, as_of, ENGINE, late, as_of],
        )
        return [pk for (pk,) in cursor.fetchall()]


def _late() -> list[int]:
    """The contracts of whose computed time usage became known since; the marks of all others move on to now."""
    inner = connection.in_atomic_block
    with suppress(OperationalError), transaction.atomic():  # one snapshot; a chunk may have marked some since
        if not inner:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        position = known_now().position
        late = _contracts()
        _move_on(position, late)
        return late
    return _contracts()


def _contracts() -> list[int]:
    """See _late."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT min(position), max(until) FROM billing_mark")
        position, until = cursor.fetchone()
        if position is None:
            return []
        changed: dict[str, datetime] = changed_after(position, until)
        if not changed:
            return []
        cursor.execute(_LATE, [list(changed), list(changed.values())])
        return [pk for (pk,) in cursor.fetchall()]


def _move_on(position: int, late: Sequence[int]) -> None:
    """Let marks tell that usage through a position was looked at, so that it is not looked at for ever.

    Marks of contracts that are no longer active go: nobody computes these.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """WITH free AS (SELECT contract_id FROM billing_mark
                             WHERE position < %s AND contract_id <> ALL(%s::bigint[])
                             ORDER BY contract_id FOR UPDATE SKIP LOCKED)
               UPDATE billing_mark m SET position = %s FROM free WHERE m.contract_id = free.contract_id""",
            [position, list(late), position],
        )
        cursor.execute(
            "DELETE FROM billing_mark m USING customers_contract k WHERE k.id = m.contract_id AND k.state <> 'active'"
        )
