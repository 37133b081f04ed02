"""The end of a test that commits: tables are empty again, and those that migrations filled are as they left them.

Django's own way empties every table and makes the rows of migrations anew, which takes a second and more for each of
some hundred tests. Here only tables with rows are emptied, unless a test changed what migrations had made, or the
database's role may not set triggers aside: then Django's way is gone.
"""

from typing import Any

from django.apps import apps
from django.db import ProgrammingError, connection, transaction
from django.test import TransactionTestCase

_made: dict[str, str] = {}
"""What migrations made, by table: a digest of its rows."""
_emptied_by_django = getattr(TransactionTestCase, "_fixture_teardown")  # noqa: B009


def install() -> None:
    """Take the place of Django's way."""
    setattr(TransactionTestCase, "_fixture_teardown", _emptied)  # noqa: B010  its types do not have it


def remember() -> None:
    """Look at what migrations made; before any test that commits."""
    _made.clear()
    _made.update(_digests(_filled()))


def _emptied(case: Any) -> None:
    filled = _filled()
    try:
        same = _digests([each for each in filled if each in _made]) == _made
        if same:
            _delete([each for each in filled if each not in _made])
            apps.get_app_config("billing").forget()
    except ProgrammingError:  # the role may not
        same = False
    if not same:
        _emptied_by_django(case)
        remember()


def _filled() -> list[str]:
    """The tables that have rows."""
    names = connection.introspection.django_table_names(only_existing=True, include_views=False)
    asked = " UNION ALL ".join(f"SELECT '{name}' WHERE EXISTS (SELECT FROM \"{name}\")" for name in sorted(names))
    with connection.cursor() as cursor:
        cursor.execute(asked)
        return [name for (name,) in cursor.fetchall()]


def _digests(names: list[str]) -> dict[str, str]:
    if not names:
        return {}
    rows = "SELECT '{0}', md5(string_agg(t::text, ' ' ORDER BY t::text)) FROM \"{0}\" t"
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(rows.format(name) for name in names))
        return dict(cursor.fetchall())


def _delete(names: list[str]) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        for name in names:
            cursor.execute(f'DELETE FROM "{name}"')
