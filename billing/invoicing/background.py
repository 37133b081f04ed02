"""Work that follows a transaction: queued by name once it is committed, so that no worker sees what may roll back."""

from functools import partial

from django.db import transaction
from django_q.tasks import async_task


def enqueue(dotted_name: str, *args: object) -> None:
    """Queue the task of that dotted name, with JSON-like arguments, when the current transaction commits.

    Naming a task instead of importing it lets billing wake the books without knowing them (DESIGN section 3).
    """
    transaction.on_commit(partial(async_task, dotted_name, *args))
