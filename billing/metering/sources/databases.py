"""Rows of an SQL query, from PostgreSQL: read-only, within a time limit, row by row, each cell as exact text."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import psycopg
from django.conf import settings
from psycopg.types.string import TextLoader

from billing.metering.csv_import import Row
from billing.metering.sources.addresses import Secrets, check_query, with_parameter
from billing.metering.sources.errors import SourceError
from billing.metering.sources.folders import unreachable

FETCH: Final = 2000
"""Rows that are fetched at a time."""


class Query:
    """The rows behind a position, in order. `safe` is the position up to which every row has been given out.

    Rows that share a value of the position column count as one step: the next run begins behind all of them.
    """

    def __init__(self, cursor: Any, column: str, address: str, secrets: Secrets) -> None:
        self.cursor, self.address, self.secrets = cursor, address, secrets
        self.header = [each.name for each in cursor.description]
        if column not in self.header:
            raise SourceError(f"The query returns no column {column!r}; its columns are: {', '.join(self.header)}.")
        if repeated := {name for name in self.header if self.header.count(name) > 1}:
            raise SourceError(f"The query returns the column {min(repeated)!r} twice; name one of them with AS.")
        self.place = self.header.index(column)
        self.safe: str | None = None

    def rows(self) -> Iterator[Row]:
        """Rows numbered from 1; SourceError when they are not in order, SourceUnreachable when the server goes away."""
        before: list[str] | None = None
        for number, cells in enumerate(self._cells()):
            if before is not None:
                if cells[self.place] != before[self.place]:
                    _check_order(before[self.place], cells[self.place])
                    self.safe = before[self.place]
                yield number, before
            before = cells
        if before is not None:
            self.safe = before[self.place]
            yield number + 1, before

    def _cells(self) -> Iterator[list[str]]:
        """Cells as text; NULL is an empty one."""
        while True:
            try:
                rows = self.cursor.fetchmany(FETCH)
            except psycopg.Error as error:
                raise unreachable(self.address, error, self.secrets) from None
            if not rows:
                return
            for row in rows:
                cells = ["" if cell is None else cell for cell in row]
                if not cells[self.place]:
                    raise SourceError("The position column is empty in some row; leave those rows out of the query.")
                yield cells


@contextmanager
def opened(address: str, query: str, column: str, position: str, secrets: Secrets) -> Iterator[Query]:
    """The query, asked behind a position, in a transaction that can only read.

    SourceUnreachable when the server does not answer, or not within `settings.METERBOOK_PULL_TIMEOUT_SECONDS`;
    SourceError for a query that it does not understand.
    """
    check_query(address, query)
    url = secrets.fill(address)
    try:
        connection = psycopg.connect(url, connect_timeout=10, application_name="meterbook")
    except psycopg.Error as error:
        raise unreachable(address, error, secrets) from None
    with connection:
        connection.read_only = True
        try:
            cursor = _ask(connection, with_parameter(query), position)
        except psycopg.OperationalError as error:
            raise unreachable(address, error, secrets) from None
        except psycopg.Error as error:
            raise SourceError(secrets.hide(f"The query does not work: {' '.join(str(error).split())}")) from None
        with closing(cursor):
            yield Query(cursor, column, address, secrets)


def _ask(connection: psycopg.Connection[Any], query: str, position: str) -> Any:
    """A cursor on the server, whose cells come as exact text: times in UTC, numbers with all their digits."""
    for kind in connection.adapters.types:
        connection.adapters.register_loader(kind.oid, TextLoader)
    milliseconds = settings.METERBOOK_PULL_TIMEOUT_SECONDS * 1000
    for name, value in (("statement_timeout", str(milliseconds)), ("TimeZone", "UTC"), ("DateStyle", "ISO")):
        connection.execute("SELECT set_config(%s, %s, true)", [name, value])
    cursor = connection.cursor(name="meterbook_pull")
    try:
        cursor.execute(query.encode(), {"position": position})
    except BaseException:
        cursor.close()
        raise
    return cursor


def _check_order(before: str, after: str) -> None:
    """SourceError when numbers go down: a position would then pass over rows."""
    try:
        falling = Decimal(after) < Decimal(before)
    except InvalidOperation:
        return  # no numbers: the database's own order of texts and times is not ours to judge
    if falling:
        raise SourceError(
            f"The rows do not come in order ({after} behind {before}); order by the position column alone."
        )
