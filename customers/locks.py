"""One lock per customer: whoever computes or records what a customer owes holds it."""

from collections.abc import Iterable

from django.db import connection

CUSTOMER_LOCK = 7001  # first key of the advisory lock; triggers take the same one


def lock_customers(customer_ids: Iterable[int]) -> None:
    """Hold the customers' advisory locks until the transaction ends, taken in order so that two sets cannot deadlock.

    Lock first, then read: what is read before may be out of date.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(pg_advisory_xact_lock(%s, id)) FROM (SELECT unnest(%s::int[]) AS id ORDER BY id) ordered",
            [CUSTOMER_LOCK, sorted(set(customer_ids))],
        )
