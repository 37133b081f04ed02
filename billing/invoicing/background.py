"""Work that follows a commit, by dotted name: billing never imports what hears of it."""

from functools import partial

from django.db import transaction
from django_q.tasks import async_task


def enqueue(task: str, *args: object) -> None:
    """Queue `task` (a dotted name) for the worker once the current transaction is committed; at once without one."""
    transaction.on_commit(partial(async_task, task, *args))
