"""One lock per customer: whoever computes or records what a customer owes holds it."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from django.db import Error, connection

CUSTOMER_LOCK = 7001  # first key of the advisory lock; triggers take the same one


def lock_name(name: str) -> None:
    """Hold a lock of that name, a file's for example, until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])


def lock_customers(customer_ids: Iterable[int]) -> None:
    """Hold the customers' advisory locks until the transaction ends, taken in order so that two sets cannot deadlock.

    Lock first, then read: what is read before may be out of date.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(pg_advisory_xact_lock(%s, id)) FROM (SELECT unnest(%s::int[]) AS id ORDER BY id) ordered",
            [CUSTOMER_LOCK, sorted(set(customer_ids))],
        )


@contextmanager
def hold_customers(customer_ids: Iterable[int]) -> Iterator[None]:
    """Hold the same locks around transactions, for who needs a snapshot that is taken after them.

    They belong to the connection: when it ends, whatever the reason, they are gone.
    """
    ids = sorted(set(customer_ids))
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(pg_advisory_lock(%s, id)) FROM (SELECT unnest(%s::int[]) AS id ORDER BY id) ordered",
                [CUSTOMER_LOCK, ids],
            )
        yield
    finally:  # those that a failed statement had come to are held, too
        with suppress(Error), connection.cursor() as cursor:  # a connection that broke holds nothing
            cursor.execute(
                "SELECT count(pg_advisory_unlock(%s, id)) FROM unnest(%s::int[]) AS id", [CUSTOMER_LOCK, ids]
            )
