"""Work that follows, at once or after the commit, by dotted name: billing never imports what hears of it."""

from functools import partial

from django.db import transaction
from django.utils.module_loading import import_string
from django_q.tasks import async_task


def enqueue(task: str, *args: object) -> None:
    """Queue `task` (a dotted name) for the worker once the current transaction is committed; at once without one."""
    transaction.on_commit(partial(async_task, task, *args))


def carry_out(task: str, **arguments: object) -> None:
    """Call `task` (a dotted name) now, in the present transaction: it stands with what is recorded, or neither does."""
    import_string(task)(**arguments)
