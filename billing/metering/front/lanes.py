"""Threads that store what requests hand them, so that many requests share a commit and few connections.

One thread takes all small requests that wait, and commits them together; while it does, the next ones gather. A few
threads take large ones, each by itself. So a process needs as many connections as it has such threads, however many
requests it holds. Threads begin with the first request of the process, and one that ended is begun again.
"""

import logging
import os
import time
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any, Final, TypeVar, cast

from django.db import InterfaceError, OperationalError, connection

from billing.metering import services, waiting
from billing.metering.access import KnownKey
from billing.metering.rollups import runner
from billing.metering.services import Delivery, IngestReport
from billing.metering.validate import Reading
from config import clock

SMALL: Final = 100
"""Events up to which a request shares a commit with others."""

MOST_TOGETHER: Final = 256
"""Requests that share a commit at most."""

PATIENCE: Final = 60
"""Seconds that a request waits for its turn and its commit, before it is told to come again."""

_Result = TypeVar("_Result")
_log = logging.getLogger(__name__)


class Ticket:
    """Something to do in a lane, and then what came of it."""

    def __init__(self, do: Delivery | Callable[[], Any]) -> None:
        self.do = do
        self.result: Any = None
        self.error: BaseException | None = None
        self._open = Lock()
        self._open.acquire()

    def settle(self, result: Any = None, error: BaseException | None = None) -> None:
        """Say what came of it; the first word stands."""
        if self._open.locked():
            self.result, self.error = result, error
            self._open.release()

    def wait(self) -> Any:
        """What came of it, or its error; OperationalError when it took too long."""
        if not self._open.acquire(timeout=PATIENCE):
            raise OperationalError("The database did not answer in time.")
        if self.error is not None:
            raise self.error.with_traceback(None)
        return self.result


class Lane:
    """A queue of tickets and the threads that work on them; `together` says how many a thread takes at once."""

    def __init__(self, name: str, *, threads: int, together: int) -> None:
        self.name, self.size, self.together = name, threads, together
        self._begin()

    def hand(self, do: Delivery | Callable[[], Any]) -> Any:
        """Have something done: what it returns or raises, once it is committed."""
        if self._process != os.getpid():
            self._begin()  # threads do not live on in a fork
        if len(self._threads) < self.size or not all(thread.is_alive() for thread in self._threads):
            self._start()
        ticket = Ticket(do)
        self._tickets.put(ticket)
        return ticket.wait()

    def end(self) -> None:
        """Let the threads end when all that waits is done, and close their connections."""
        threads = list(self._threads)
        self._threads.clear()
        for _ in threads:
            self._tickets.put(None)
        for thread in threads:
            thread.join()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._busy = False
        self._tickets: SimpleQueue[Ticket | None] = SimpleQueue()
        self._threads: list[Thread] = []
        self._starting = Lock()

    def _start(self) -> None:
        with self._starting:
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            for _ in range(self.size - len(self._threads)):
                thread = Thread(target=self._run, name=self.name, daemon=True)
                thread.start()
                self._threads.append(thread)

    def _run(self) -> None:
        """Work until the end; whatever happens, every ticket taken gets an answer."""
        try:
            while tickets := self._take():
                self._busy = len(tickets) > 1
                try:
                    work(tickets)
                except BaseException as error:
                    _log.exception("A lane failed; its requests are told to come again.")
                    for ticket in tickets:
                        ticket.settle(error=error)
        finally:
            connection.close()

    def _take(self) -> list[Ticket]:
        """The tickets that wait, at least one; none at the end."""
        taken: list[Ticket] = []
        ticket = self._tickets.get()
        if self._busy:
            time.sleep(0.002)  # those that were answered just now come again: with them it is one commit, not two
        while ticket is not None:
            taken.append(ticket)
            if len(taken) == self.together:
                return taken
            try:
                ticket = self._tickets.get_nowait()
            except Empty:
                return taken
        if taken:
            self._tickets.put(None)  # the end comes after what was taken
        return taken


class Lanes:
    """The lanes of a process: one for small requests and queries, one of `writers` threads for large requests."""

    def __init__(self, writers: int) -> None:
        self.small = Lane("usage-small", threads=1, together=MOST_TOGETHER)
        self.large = Lane("usage-large", threads=writers, together=1)

    def store(self, reading: Reading, key: KnownKey) -> IngestReport:
        """Store a request's events: the report, once they are committed."""
        if len(reading.events) + len(reading.problems) <= SMALL:
            return cast(IngestReport, self.small.hand(Delivery(reading, key)))
        report = cast(IngestReport, self.large.hand(Delivery(reading, key)))
        runner.ease()
        return report

    def ask(self, query: Callable[[], _Result], /) -> _Result:
        """What a query returns, run in the lane of small requests."""
        return cast(_Result, self.small.hand(query))

    def end(self) -> None:
        """Let all threads end."""
        self.small.end()
        self.large.end()


def work(tickets: Sequence[Ticket]) -> None:
    """Run the queries, then store all deliveries as one; one by one where one of them makes all fail."""
    deliveries = []
    for ticket in tickets:
        if isinstance(ticket.do, Delivery):
            deliveries.append((ticket, ticket.do))
        else:
            _settle(ticket, ticket.do)
    if not deliveries:
        return
    try:
        reports = _reconnecting(lambda: _store([delivery for _, delivery in deliveries]))
    except (OperationalError, InterfaceError) as error:  # one by one each would only wait as long for the same
        for ticket, _ in deliveries:
            ticket.settle(error=error)
    except Exception:
        if len(deliveries) > 1:
            _log.exception("Requests that were stored together failed; they are stored one by one.")
        for ticket, delivery in deliveries:
            _settle(ticket, lambda one=delivery: _store([one])[0])  # type: ignore[misc]  # mypy knows no default here
    else:
        for (ticket, _), report in zip(deliveries, reports, strict=True):
            ticket.settle(report)


def _store(deliveries: Sequence[Delivery]) -> list[IngestReport]:
    return services.ingest_together(deliveries=deliveries, origin="api", now=clock.now())


def _settle(ticket: Ticket, do: Callable[[], Any]) -> None:
    """Do what one ticket wants, and tell it what came of it."""
    try:
        ticket.settle(_reconnecting(do))
    except Exception as error:
        ticket.settle(error=error)


def _reconnecting(do: Callable[[], _Result]) -> _Result:
    """Do it; again on a new connection when the one at hand turns out to be broken.

    What was committed before the connection broke is then known, and answered as a duplicate.
    """
    raw = None
    try:
        waiting.limit_for_good()
        raw = connection.connection
        return do()
    except (OperationalError, InterfaceError):
        if raw is not None and raw is connection.connection and connection.is_usable():
            raise  # whatever it is, a new connection would not mend it
        connection.close()
        waiting.limit_for_good()
        return do()
