"""Rows of a model in bulk by COPY, which costs less than INSERT: triggers and constraints hold as ever."""

import json
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import cache
from typing import Any, TypeVar

from django.contrib.postgres.fields import ArrayField
from django.db import connection, models
from django.db.models.base import ModelState

Written = Callable[[Any], str]
Row = TypeVar("Row", bound=models.Model)


def draw_keys(model: type[models.Model], count: int) -> list[int]:
    """So many keys for rows to come, which nobody else is given."""
    with connection.cursor() as cursor:
        sequence = "pg_get_serial_sequence(%s, %s)"
        cursor.execute(
            f"SELECT nextval({sequence}) FROM generate_series(1, %s)",
            [model._meta.db_table, model._meta.pk.column, count],
        )
        return [key for (key,) in cursor.fetchall()]


def unsaved(model: type[Row], **values: Any) -> Row:
    """An instance for `copy_rows` with these values, by column attribute, and the defaults of its other fields.

    It does without `Model.__init__`, which takes longer than everything else that is done for a line of a large run.
    """
    row = model.__new__(model)
    row.__dict__.update(_blank(model))
    for name, default in _made(model):
        row.__dict__[name] = default()
    row.__dict__.update(values)
    row._state = ModelState()
    return row


@cache
def _blank(model: type[models.Model]) -> dict[str, Any]:
    """What an instance without any values has."""
    return dict(vars(model()))


@cache
def _made(model: type[models.Model]) -> list[tuple[str, Callable[[], Any]]]:
    """The defaults that are made for each row, such as empty lists."""
    fields = model._meta.concrete_fields
    return [(each.attname, each.get_default) for each in fields if each.has_default() and callable(each.default)]


def copy_rows(model: type[models.Model], rows: Iterable[models.Model], *, keyed: bool = False) -> None:
    """Insert unsaved instances with every field. Keys are `keyed`, or the database gives them and nobody is told."""
    columns = _columns(model, keyed=keyed)
    lines = []
    for row in rows:
        values = row.__dict__
        lines.append("\t".join([
            "\\N" if (value := values[name]) is None else written(value) for name, _, written in columns
        ]))  # fmt: skip
    if not lines:
        return
    names = ", ".join(f'"{column}"' for _, column, _ in columns)
    statement = f'COPY "{model._meta.db_table}" ({names}) FROM STDIN'
    with connection.cursor() as cursor, connection.wrap_database_errors, cursor.copy(statement) as copy:
        copy.write("\n".join(lines) + "\n")


@cache
def _columns(model: type[models.Model], *, keyed: bool) -> list[tuple[str, str, Written]]:
    """Attribute, column and how its values are written, of each field, the key only when it is given."""
    return [
        (field.attname, str(field.column), _writer(field))
        for field in model._meta.concrete_fields
        if keyed or not field.primary_key
    ]


def _writer(field: "models.Field[Any, Any]") -> Written:
    if isinstance(field, models.JSONField):
        encode = (field.encoder or json.JSONEncoder)().encode
        return lambda value: "[]" if value == [] else encode(value).replace("\\", "\\\\")
    if isinstance(field, ArrayField):
        return lambda value: "{" + ",".join(map(str, value)) + "}"
    if isinstance(field, models.DateTimeField):
        return datetime.isoformat
    if isinstance(field, models.CharField | models.TextField):
        return _text
    return str


def _text(value: str) -> str:
    if "\\" in value or "\n" in value or "\t" in value or "\r" in value:
        value = value.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")
    return str(value)
