"""Background work without a worker: what a block queues runs in this process when the block ends, once each.

The demo holds its process's clock, which a worker would not see. Tasks are named by what they do and may run any number
of times, so a hundred payments that each ask for their posting are posted together.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pydoc import locate
from typing import Any, Final

from django_q.brokers import Broker
from django_q.conf import Conf
from django_q.signing import SignedPackage

from billing.invoicing.lifecycle import DRAWING_TASK

# Hundreds of documents that nobody waits for: the worker draws them later; and mail to people who do not exist.
LEFT_OUT: Final = {DRAWING_TASK, "billing.hosted.tasks.tell_finance"}
_queued: Final[dict[str, tuple[Any, dict[str, Any]]]] = {}


class InlineBroker(Broker):  # type: ignore[misc]  # django-q2 has no types
    """Keeps what is queued for the end of the block; a task that is queued already is not queued twice."""

    def enqueue(self, task: str) -> str:
        """Keep a signed task package; its place, as the id."""
        package = SignedPackage.loads(task)
        if package["func"] in LEFT_OUT:
            return "0"
        _queued[f"{package['func']}{package['args']}{package['kwargs']}"] = package["func"], package
        return str(len(_queued))


@contextmanager
def tasks_inline() -> Iterator[None]:
    """Collect the tasks that the block queues and run each of them once, in order, at its end.

    When the block fails nothing is run: what was to be done stands in the database (the outbox, for one), and whoever
    does it next finds it there.
    """
    before, Conf.BROKER_CLASS = Conf.BROKER_CLASS, f"{__name__}.{InlineBroker.__name__}"
    _queued.clear()
    try:
        yield
        for func, package in list(_queued.values()):
            task: Any = locate(func) if isinstance(func, str) else func
            task(*package["args"], **package["kwargs"])
    finally:
        Conf.BROKER_CLASS = before
        _queued.clear()
