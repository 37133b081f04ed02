"""Questions with values bound by the server, whose plans it keeps: planning over many months costs more than asking."""

from collections.abc import Sequence
from typing import Any, Final
from weakref import WeakSet

import psycopg
from django.db import connection

NEVER: Final = 1_000_000_000
"""A number of uses after which psycopg would keep a statement that was not meant to be kept."""

_known: WeakSet[Any] = WeakSet()


def ask(sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    """The rows that a statement answers.

    Its plan is made once a connection and is right for any values: the statements name their rows by keys. Where
    queries are watched (tests) or a pooler may give the next statement to another server, Django's own cursor asks.
    """
    if connection.queries_logged or connection.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS"):
        with connection.cursor() as cursor:
            cursor.execute(sql, values)
            return list(cursor.fetchall())
    connection.ensure_connection()
    raw = connection.connection
    with connection.wrap_database_errors, psycopg.Cursor(raw) as cursor:
        if raw not in _known:
            if raw.prepare_threshold is None:
                raw.prepare_threshold = NEVER
            cursor.execute("SET plan_cache_mode = force_generic_plan")
            _known.add(raw)
        return cursor.execute(sql, values, prepare=True).fetchall()
