"""Background work of months: tables ahead, and what takes minutes. Each task reads the clock and calls one service."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date

from django.contrib.auth import get_user_model
from django.db import connection

from billing.metering.months import services
from billing.metering.months.errors import MonthBusy, MonthError
from config import clock


def make_ahead() -> None:
    """Make the tables of this month and the next three. Once a day is plenty."""
    services.make_ahead(now=clock.now())


def work(verb: str, month: str, user_id: int | None = None) -> None:
    """Export, detach or restore a month, and note on it how far it is and what went wrong."""
    user = get_user_model().objects.filter(pk=user_id).first() if user_id else None
    try:
        if verb == "detach":
            services.detach(month=month, now=clock.now(), user=user)
        else:
            verbs = {"export": services.export, "restore": services.restore}
            with _progress(month) as report:
                verbs[verb](month=month, now=clock.now(), user=user, report=report)
    except MonthBusy:
        return  # this task, delivered a second time, or somebody else's: who works on it says how it ends
    except MonthError as error:
        services.give_up(month=month, reason=str(error))


@contextmanager
def _progress(month: str) -> Iterator[Callable[[int], None]]:
    """Notes progress on a connection of its own, so that others see it before the work is committed."""
    side = connection.copy()
    first = date.fromisoformat(f"{month}-01")

    def note(count: int) -> None:
        with side.cursor() as cursor:
            cursor.execute("UPDATE metering_month SET progress = %s WHERE month = %s", [count, first])

    try:
        yield note
    finally:
        side.close()
